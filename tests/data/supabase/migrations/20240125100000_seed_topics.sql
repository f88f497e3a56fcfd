create table public.topics (
  id smallint generated always as identity primary key,
  name text not null unique
);
alter table public.topics enable row level security;
create policy "Topics are public" on public.topics for select using (true);
insert into public.topics (name) values ('News'), ('Help'), ('Ideas');
alter table public.posts add column topic_id smallint references public.topics (id);
update public.posts set topic_id = (select id from public.topics where name = 'News') where topic_id is null;
create index posts_topic_id_idx on public.posts (topic_id);
