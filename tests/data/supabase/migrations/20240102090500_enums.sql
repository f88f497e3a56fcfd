create type public.app_role as enum ('admin', 'moderator', 'member');
create type public.app_permission as enum ('posts.delete', 'members.manage');
create type public.plan_tier as enum ('free', 'pro', 'team');
