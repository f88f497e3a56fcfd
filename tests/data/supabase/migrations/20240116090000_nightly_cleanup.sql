-- kimbledb: reaches = ["schema private"]
create or replace function private.delete_old_drafts()
returns void
language sql
security definer
set search_path = ''
as $$
  delete from public.posts where not published and updated_at < now() - interval '90 days';
$$;

do $$
begin
  if exists (select from pg_available_extensions where name = 'pg_cron') then
    create extension if not exists pg_cron with schema pg_catalog;
    perform cron.schedule('delete-old-drafts', '0 3 * * *', 'select private.delete_old_drafts()');
  end if;
end $$;
