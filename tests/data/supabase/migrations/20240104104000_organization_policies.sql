-- kimbledb: reaches = ["schema private"]
create or replace function private.is_member_of(organization uuid)
returns boolean
language sql
stable
security definer
set search_path = ''
as $$
  select exists (
    select 1 from public.organization_members
    where organization_id = organization and user_id = (select auth.uid())
  );
$$;
grant execute on function private.is_member_of(uuid) to authenticated;

create policy "Members can view their organizations"
on "public"."organizations"
as permissive
for select
to authenticated
using ((select private.is_member_of(id)));

create policy "Members can view members"
on "public"."organization_members"
as permissive
for select
to authenticated
using ((select private.is_member_of(organization_id)));

create policy "Administrators manage members"
on "public"."organization_members"
as permissive
for all
to authenticated
using ((select private.has_role('admin'::public.app_role)))
with check ((select private.has_role('admin'::public.app_role)));
