-- kimbledb: reaches = ["storage.objects", "realtime.messages"]
drop policy "Anyone can upload an avatar." on storage.objects;
create policy "People upload their own avatar." on storage.objects
  for insert to authenticated
  with check (bucket_id = 'avatars' and (storage.foldername(name))[1] = (select auth.uid())::text);

create policy "Members listen to their organization" on realtime.messages
  for select to authenticated
  using (private.is_member_of((realtime.topic())::uuid));
