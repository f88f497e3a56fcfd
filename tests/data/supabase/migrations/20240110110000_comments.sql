create table if not exists public.comments (
  id uuid primary key default extensions.uuid_generate_v4(),
  post_id bigint not null references public.posts (id) on delete cascade,
  author_id uuid not null references public.profiles (id) on delete cascade,
  parent_id uuid references public.comments (id) on delete cascade,
  body text not null check (length(body) between 1 and 4000),
  created_at timestamptz not null default timezone('utc'::text, now())
);
create index if not exists comments_post_id_idx on public.comments (post_id, created_at);
create index if not exists comments_author_id_idx on public.comments (author_id);
create index if not exists comments_parent_id_idx on public.comments (parent_id);
alter table public.comments enable row level security;
drop policy if exists "Comments of published posts are visible" on public.comments;
create policy "Comments of published posts are visible" on public.comments
  for select using (exists (select 1 from public.posts p where p.id = comments.post_id and p.published));
create policy "People can comment" on public.comments
  for insert to authenticated with check ((select auth.uid()) = author_id);
