-- kimbledb: reaches = ["storage.objects"]
insert into storage.buckets (id, name, public, file_size_limit, allowed_mime_types)
values ('documents', 'documents', false, 52428800, array['application/pdf', 'text/plain'])
on conflict (id) do nothing;

create policy "Members read documents"
on storage.objects for select
to authenticated
using (
  bucket_id = 'documents'
  and private.is_member_of(((storage.foldername(name))[1])::uuid)
);

create policy "Members add documents"
on storage.objects for insert
to authenticated
with check (
  bucket_id = 'documents'
  and private.is_member_of(((storage.foldername(name))[1])::uuid)
);
