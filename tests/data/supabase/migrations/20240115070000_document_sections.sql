create table public.document_sections (
  id bigint primary key generated always as identity,
  object_id uuid not null references storage.objects (id) on delete cascade,
  content text not null,
  embedding extensions.vector(384)
);
create index on public.document_sections using hnsw (embedding extensions.vector_ip_ops);
create index on public.document_sections (object_id);
alter table public.document_sections enable row level security;
create policy "Owners read sections" on public.document_sections for select to authenticated using (
  object_id in (select id from storage.objects where owner = (select auth.uid()))
);

create or replace function public.match_document_sections(embedding extensions.vector(384), match_threshold float)
returns setof public.document_sections
language plpgsql
as $$
#variable_conflict use_variable
begin
  return query
  select *
  from public.document_sections
  where document_sections.embedding operator(extensions.<#>) embedding < -match_threshold
  order by document_sections.embedding operator(extensions.<#>) embedding;
end;
$$;
