create view public.post_stats with (security_invoker = on) as
select p.id, p.title, p.author_id, count(c.id) as comments
from public.posts p
left join public.comments c on c.post_id = p.id
group by p.id;
grant select on public.post_stats to anon, authenticated;
