-- Custom domains: names that tenants prove to be theirs, the certificates they
-- are served with, and what answers on them.

-- A name as a tenant claims it. It serves from the moment its DNS record was seen;
-- one tenant at a time has it.
create table owned_name (
  tenant_id integer not null references tenant,
  domain_num integer generated always as identity constraint domain_num_key unique, -- nodes know it by this
  name text not null check (length(name) between 1 and 253 and name = lower(name)),
  verified_at timestamptz,
  claimed_at timestamptz not null default now(),
  checked_at timestamptz,
  message text not null default '',
  primary key (tenant_id, name)
);
create unique index owned_name_verified on owned_name (name) where verified_at is not null;
create index owned_name_waiting on owned_name (checked_at) where verified_at is null;

create table certificate (
  tenant_id integer not null references tenant,
  certificate_id text not null,
  kind text not null check (kind in ('imported', 'acme')),
  name text not null, -- of domain; others the certificate is for besides
  others text[] not null default '{}',
  owned boolean not null default false, -- by one domain, with which it comes and goes
  chain text, -- PEM, the leaf first; null: not issued yet
  private_key bytea, -- PEM, sealed
  not_before timestamptz,
  not_after timestamptz,
  message text not null default '', -- why it is not issued yet
  tried_at timestamptz, -- to have it issued
  tries integer not null default 0, -- in vain
  created_at timestamptz not null default now(),
  issued_at timestamptz,
  primary key (tenant_id, certificate_id),
  check ((chain is null) = (private_key is null))
);
create index certificate_acme on certificate (not_after) where kind = 'acme';

create table domain (
  tenant_id integer not null,
  domain_num integer not null, -- of its name
  domain_id text not null,
  name text not null,
  certificate_id text,
  certificate_name text not null default '' check (length(certificate_name) <= 256),
  settings jsonb not null,
  created_at timestamptz not null default now(),
  updated_at timestamptz not null default now(),
  primary key (tenant_id, domain_num),
  constraint domain_name_key unique (tenant_id, name),
  foreign key (tenant_id, certificate_id) references certificate,
  foreign key (tenant_id, name) references owned_name
);
create index domain_certificate on domain (tenant_id, certificate_id);

create table base_path_mapping (
  tenant_id integer not null,
  domain_num integer not null,
  base_path text not null check (length(base_path) <= 300), -- '': the root
  api_id text not null,
  stage text not null, -- '': the path's first segment
  primary key (tenant_id, domain_num, base_path),
  foreign key (tenant_id, domain_num) references domain on delete cascade,
  foreign key (tenant_id, api_id) references api
);
create index base_path_mapping_api on base_path_mapping (tenant_id, api_id);

create table routing_rule (
  tenant_id integer not null,
  domain_num integer not null,
  rule_id text not null,
  priority integer not null check (priority between 1 and 1000000),
  rule jsonb not null,
  api_id text not null,
  primary key (tenant_id, domain_num, rule_id),
  constraint routing_rule_priority unique (tenant_id, domain_num, priority) deferrable initially deferred,
  foreign key (tenant_id, domain_num) references domain on delete cascade,
  foreign key (tenant_id, api_id) references api
);
create index routing_rule_api on routing_rule (tenant_id, api_id);

-- What the ACME client keeps: accounts, keys, certificates and open challenges,
-- sealed, and its locks, which end by themselves.
create table acme_file (
  key text primary key,
  value bytea not null,
  modified_at timestamptz not null default now()
);
-- What a certificate authority asks of whoever serves a name at this moment:
-- key authorizations by token.
create table acme_challenge (
  name text primary key,
  answers jsonb not null,
  at timestamptz not null default now()
);
create table acme_lock (
  name text primary key,
  holder text not null,
  expires_at timestamptz not null
);

alter table feed_change drop constraint feed_change_kind_check,
  add constraint feed_change_kind_check check (kind in ('tenant', 'stage', 'plan', 'key', 'domain'));

do $$
declare t text;
begin
  foreach t in array array['owned_name', 'certificate', 'domain', 'base_path_mapping', 'routing_rule'] loop
    execute format('alter table %I enable row level security', t);
    execute format('alter table %I force row level security', t);
    execute format($policy$create policy tenant_only on %I using (
      tenant_id::text = current_setting('tollgate.tenant', true) or current_setting('tollgate.tenant', true) = '*')$policy$, t);
  end loop;
end $$;

-- Definitions are read and written at every change: the quicker compression, where
-- the server was built with it.
do $$
begin
  alter table api alter column definition set compression lz4;
  alter table deployment alter column definition set compression lz4;
exception when feature_not_supported then
  null;
end $$;
