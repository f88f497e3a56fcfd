create table "public"."organizations" (
    "id" uuid not null default gen_random_uuid(),
    "name" text not null,
    "slug" text not null,
    "tier" public.plan_tier not null default 'free'::public.plan_tier,
    "created_at" timestamp with time zone not null default now()
);

create table "public"."organization_members" (
    "organization_id" uuid not null,
    "user_id" uuid not null,
    "role" public.app_role not null default 'member'::public.app_role,
    "joined_at" timestamp with time zone not null default now()
);

alter table "public"."organizations" enable row level security;
alter table "public"."organization_members" enable row level security;

CREATE UNIQUE INDEX organizations_pkey ON public.organizations USING btree (id);
CREATE UNIQUE INDEX organizations_slug_key ON public.organizations USING btree (slug);
CREATE UNIQUE INDEX organization_members_pkey ON public.organization_members USING btree (organization_id, user_id);
CREATE INDEX organization_members_user_id_idx ON public.organization_members USING btree (user_id);

alter table "public"."organizations" add constraint "organizations_pkey" PRIMARY KEY using index "organizations_pkey";
alter table "public"."organizations" add constraint "organizations_slug_key" UNIQUE using index "organizations_slug_key";
alter table "public"."organization_members" add constraint "organization_members_pkey" PRIMARY KEY using index "organization_members_pkey";
alter table "public"."organization_members" add constraint "organization_members_organization_id_fkey" FOREIGN KEY (organization_id) REFERENCES organizations(id) ON DELETE CASCADE not valid;
alter table "public"."organization_members" validate constraint "organization_members_organization_id_fkey";
alter table "public"."organization_members" add constraint "organization_members_user_id_fkey" FOREIGN KEY (user_id) REFERENCES auth.users(id) ON DELETE CASCADE not valid;
alter table "public"."organization_members" validate constraint "organization_members_user_id_fkey";

grant delete on table "public"."organizations" to "anon";
grant insert on table "public"."organizations" to "anon";
grant select on table "public"."organizations" to "anon";
grant select, insert, update, delete on table "public"."organizations" to "authenticated";
grant all on table "public"."organizations" to "service_role";
