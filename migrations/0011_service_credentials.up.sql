-- What integrations sign their requests to AWS services with, by the ARN of the role
-- or user that they name.
create table service_credential (
  tenant_id integer not null references tenant,
  credential_num integer generated always as identity constraint credential_num_key unique, -- nodes know it by this
  name text not null check (length(name) between 1 and 700),
  access_key_id text not null,
  secret bytea, -- with the session token, sealed; null: deleted
  session boolean not null, -- it has a token, and ends by itself
  services text[] not null default '{}', -- that it may be used for; none: all
  regions text[] not null default '{}', -- likewise
  created_at timestamptz not null default now(),
  updated_at timestamptz not null default now(),
  deleted_at timestamptz,
  primary key (tenant_id, name),
  check ((secret is null) = (deleted_at is not null))
);

alter table feed_change drop constraint feed_change_kind_check,
  add constraint feed_change_kind_check check (kind in ('tenant', 'stage', 'plan', 'key', 'domain', 'credential'));

alter table service_credential enable row level security;
alter table service_credential force row level security;
create policy tenant_only on service_credential using (
  tenant_id::text = current_setting('tollgate.tenant', true) or current_setting('tollgate.tenant', true) = '*');
