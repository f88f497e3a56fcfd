-- kimbledb: reaches = ["schema private"]
create or replace function public.custom_access_token_hook(event jsonb)
returns jsonb
language plpgsql
stable
as $$
declare
  claims jsonb;
  user_role public.app_role;
begin
  select role into user_role from private.user_roles where user_id = (event->>'user_id')::uuid;
  claims := event->'claims';
  claims := jsonb_set(claims, '{user_role}', coalesce(to_jsonb(user_role), 'null'));
  return jsonb_set(event, '{claims}', claims);
end;
$$;
grant usage on schema public to supabase_auth_admin;
grant execute on function public.custom_access_token_hook to supabase_auth_admin;
revoke execute on function public.custom_access_token_hook from authenticated, anon, public;
grant usage on schema private to supabase_auth_admin;
grant all on table private.user_roles to supabase_auth_admin;
alter table private.user_roles enable row level security;
create policy "Allow auth admin to read user roles" on private.user_roles
  as permissive for select to supabase_auth_admin using (true);
create policy "Admins by claim" on private.user_roles
  for select to authenticated using ((select (auth.jwt() ->> 'user_role')) = 'admin');
