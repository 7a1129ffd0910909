-- What an API's documentation parts were when a version of them was made.
create table documentation_version (
  tenant_id integer not null,
  api_id text not null,
  version text not null check (length(version) between 1 and 64),
  description text not null check (length(description) <= 1024),
  parts jsonb not null,
  created_at timestamptz not null default now(),
  primary key (tenant_id, api_id, version),
  foreign key (tenant_id, api_id) references api
);

create table account_settings (
  tenant_id integer primary key references tenant,
  log_role_arn text not null check (length(log_role_arn) <= 2048)
);

-- What a gateway shows to back ends to be known by.
create table client_certificate (
  tenant_id integer not null references tenant,
  certificate_id text not null,
  description text not null check (length(description) <= 1024),
  certificate text not null, -- PEM
  private_key bytea not null, -- PKCS #8, sealed
  created_at timestamptz not null default now(),
  expires_at timestamptz not null,
  primary key (tenant_id, certificate_id)
);

create table vpc_link (
  tenant_id integer not null references tenant,
  link_id text not null,
  name text not null check (length(name) between 1 and 1024),
  description text not null check (length(description) <= 1024),
  target_arns text[] not null,
  created_at timestamptz not null default now(),
  primary key (tenant_id, link_id)
);

do $$
declare t text;
begin
  foreach t in array array['documentation_version', 'account_settings', 'client_certificate', 'vpc_link'] loop
    execute format('alter table %I enable row level security', t);
    execute format('alter table %I force row level security', t);
    execute format($policy$create policy tenant_only on %I using (
      tenant_id::text = current_setting('tollgate.tenant', true) or current_setting('tollgate.tenant', true) = '*')$policy$, t);
  end loop;
end $$;
