-- Private domain names are kept and not served. Several may have one name, and nobody
-- proves to own one: they have no row in owned_name, which gateways are fed from. Their
-- numbers are of the same sequence, so that none is ever taken for a public name's.
alter table domain
  add column private boolean not null default false,
  -- what tells a domain from the account's others
  add column key text not null generated always as (case when private then name || '+' || domain_id else name end) stored,
  add column public_name text generated always as (case when private then null else name end) stored,
  drop constraint domain_name_key,
  drop constraint domain_tenant_id_name_fkey,
  add constraint domain_key_key unique (tenant_id, key),
  add foreign key (tenant_id, public_name) references owned_name (tenant_id, name);

-- Opens a private domain to calls that come through a VPC endpoint.
create table access_association (
  tenant_id integer not null,
  domain_num integer not null,
  name text not null, -- the domain's: an endpoint leads to one of those that share it
  source text not null check (length(source) between 6 and 69), -- the endpoint's id
  created_at timestamptz not null default now(),
  primary key (tenant_id, domain_num, source),
  constraint access_association_once unique (tenant_id, name, source),
  foreign key (tenant_id, domain_num) references domain
);

alter table access_association enable row level security;
alter table access_association force row level security;
create policy tenant_only on access_association using (
  tenant_id::text = current_setting('tollgate.tenant', true) or current_setting('tollgate.tenant', true) = '*');
