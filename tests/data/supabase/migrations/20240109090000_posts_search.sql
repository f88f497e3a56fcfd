alter table public.posts add column fts tsvector
  generated always as (to_tsvector('english', title || ' ' || body)) stored;
create index posts_fts_idx on public.posts using gin (fts);
create index posts_title_trgm_idx on public.posts using gin (title extensions.gin_trgm_ops);

create or replace function public.search_posts(query text)
returns setof public.posts
language sql
stable
set search_path = ''
as $$
  select * from public.posts where fts @@ websearch_to_tsquery('english', query) order by created_at desc;
$$;
