-- kimbledb: reaches = ["schema private"]
create schema if not exists private;
grant usage on schema private to authenticated;

create table private.user_roles (
  user_id uuid not null references auth.users (id) on delete cascade,
  role public.app_role not null default 'member',
  primary key (user_id, role)
);

create or replace function private.has_role(wanted public.app_role)
returns boolean
language sql
stable
security definer
set search_path = ''
as $$
  select exists (
    select 1 from private.user_roles
    where user_id = (select auth.uid()) and role = wanted
  );
$$;

revoke execute on function private.has_role(public.app_role) from public;
grant execute on function private.has_role(public.app_role) to authenticated;
