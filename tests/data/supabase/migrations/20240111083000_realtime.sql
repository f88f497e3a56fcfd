alter publication supabase_realtime add table public.comments;
alter publication supabase_realtime add table public.posts;
alter table public.comments replica identity full;
