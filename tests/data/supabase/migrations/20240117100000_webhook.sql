-- kimbledb: reaches = ["schema private"]
create or replace function private.announce_post()
returns trigger
language plpgsql
security definer
set search_path = ''
as $$
begin
  if exists (select from pg_catalog.pg_extension where extname = 'pg_net') then
    perform net.http_post(
      url := 'https://example.com/hooks/posts',
      body := jsonb_build_object('id', new.id)
    );
  end if;
  return new;
end;
$$;
create trigger announce_post after update of published on public.posts
  for each row when (new.published and not old.published) execute function private.announce_post();
