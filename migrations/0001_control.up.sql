-- The control plane: tenants, APIs, deployments, stages, plans, keys, the feed
-- to the gateway nodes, quota leases, the audit trail.
--
-- tenant_id is in every tenant table's primary key and in every foreign key, so
-- a reference from one tenant to another cannot be stored. What journals name by
-- number (stage_num, method_num, key_num, subscription_id) is never deleted, only
-- marked, and its number is never given out again: usage stays readable.

create table gateway (
  gateway_id integer generated always as identity primary key,
  name text not null constraint gateway_name_key unique
    constraint gateway_name_check check (name ~ '^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$'),
  kind text not null check (kind in ('shared', 'dedicated')),
  tenant_id integer,
  created_at timestamptz not null default now(),
  check ((kind = 'dedicated') = (tenant_id is not null))
);
insert into gateway (name, kind) values ('shared', 'shared');

create table tenant (
  tenant_id integer generated always as identity primary key,
  account_id text not null constraint tenant_account_key unique check (account_id ~ '^[1-9][0-9]{11}$'),
  name text not null,
  email text not null,
  gateway_id integer not null references gateway,
  suspended boolean not null default false,
  caps jsonb not null default '{}',
  created_at timestamptz not null default now()
);
create unique index tenant_email_key on tenant (lower(email));
create index tenant_gateway on tenant (gateway_id);
alter table gateway add constraint gateway_tenant_fkey foreign key (tenant_id) references tenant;

create table member (
  tenant_id integer not null references tenant,
  member_id text not null,
  email text not null,
  role text not null check (role in ('owner', 'admin', 'developer', 'billing', 'viewer')),
  password_hash text not null, -- argon2id, PHC string
  created_at timestamptz not null default now(),
  primary key (tenant_id, member_id)
);
create unique index member_email_key on member (lower(email));

create table access_key (
  tenant_id integer not null,
  access_key_id text not null constraint access_key_id_key unique,
  member_id text not null,
  secret bytea not null, -- nonce and AES-256-GCM of the secret
  enabled boolean not null default true,
  created_at timestamptz not null default now(),
  primary key (tenant_id, access_key_id),
  foreign key (tenant_id, member_id) references member on delete cascade
);

create table api (
  tenant_id integer not null references tenant,
  api_id text not null constraint api_id_key unique, -- it names a host
  name text not null,
  definition jsonb, -- null once deleted
  hash text not null,
  methods integer not null,
  revision bigint not null default 1,
  created_at timestamptz not null default now(),
  updated_at timestamptz not null default now(),
  deleted_at timestamptz,
  primary key (tenant_id, api_id),
  check ((definition is null) = (deleted_at is not null))
);
create index api_list on api (tenant_id, name, api_id) where deleted_at is null;

create table api_source (
  tenant_id integer not null,
  api_id text not null,
  name text not null,
  format text not null,
  sha256 bytea not null,
  bytes bytea not null,
  imported_at timestamptz not null default now(),
  primary key (tenant_id, api_id),
  foreign key (tenant_id, api_id) references api
);

create table api_method (
  tenant_id integer not null,
  api_id text not null,
  path text not null,
  verb text not null,
  method_num integer generated always as identity constraint api_method_num_key unique,
  primary key (tenant_id, api_id, path, verb),
  foreign key (tenant_id, api_id) references api
);

create table deployment (
  tenant_id integer not null,
  deployment_id text not null constraint deployment_id_key unique,
  deployment_num bigint generated always as identity, -- their order
  api_id text not null,
  hash text not null,
  description text not null default '',
  definition jsonb not null,
  methods integer not null,
  created_by text not null,
  created_at timestamptz not null default now(),
  primary key (tenant_id, deployment_id),
  unique (tenant_id, api_id, deployment_id),
  foreign key (tenant_id, api_id) references api
);
create index deployment_list on deployment (tenant_id, api_id, deployment_num desc);

create function deployment_is_immutable() returns trigger language plpgsql as $$
begin
  raise exception 'a deployment is never changed';
end $$;
create trigger deployment_is_immutable before update on deployment
  for each row execute function deployment_is_immutable();

create table stage (
  tenant_id integer not null,
  stage_num integer generated always as identity constraint stage_num_key unique,
  api_id text not null,
  name text not null check (name ~ '^[a-zA-Z0-9_-]{1,128}$'),
  deployment_id text, -- null once deleted
  throttle jsonb,
  created_at timestamptz not null default now(),
  updated_at timestamptz not null default now(),
  deleted_at timestamptz,
  primary key (tenant_id, stage_num),
  foreign key (tenant_id, api_id) references api,
  foreign key (tenant_id, api_id, deployment_id) references deployment (tenant_id, api_id, deployment_id),
  check ((deployment_id is null) = (deleted_at is not null))
);
create unique index stage_name_key on stage (tenant_id, api_id, name) where deleted_at is null;
create index stage_by_deployment on stage (tenant_id, api_id, deployment_id);

-- What a stage has pointed at, so that a rollback without a target has one.
create table stage_deployment (
  tenant_id integer not null,
  stage_num integer not null,
  deployment_id text not null,
  first_at timestamptz not null default now(),
  primary key (tenant_id, stage_num, deployment_id),
  foreign key (tenant_id, stage_num) references stage,
  foreign key (tenant_id, deployment_id) references deployment on delete cascade
);
create index stage_deployment_by_deployment on stage_deployment (tenant_id, deployment_id);

create table plan (
  tenant_id integer not null references tenant,
  plan_id text not null constraint plan_id_key unique,
  plan_num integer generated always as identity constraint plan_num_key unique,
  name text not null,
  description text not null default '',
  throttle jsonb,
  quota_limit bigint,
  quota_period text check (quota_period in ('DAY', 'WEEK', 'MONTH')),
  quota_offset integer,
  created_at timestamptz not null default now(),
  updated_at timestamptz not null default now(),
  deleted_at timestamptz,
  primary key (tenant_id, plan_id),
  check ((quota_limit is null) = (quota_period is null) and (quota_limit is null) = (quota_offset is null))
);
create index plan_list on plan (tenant_id, name, plan_id) where deleted_at is null;

create table plan_stage (
  tenant_id integer not null,
  plan_id text not null,
  stage_num integer not null,
  throttle jsonb, -- by "/path/VERB"
  primary key (tenant_id, plan_id, stage_num),
  foreign key (tenant_id, plan_id) references plan,
  foreign key (tenant_id, stage_num) references stage
);
create index plan_stage_stage on plan_stage (tenant_id, stage_num);

create table api_key (
  tenant_id integer not null references tenant,
  key_num integer generated always as identity constraint api_key_num_key unique,
  key_id text not null constraint api_key_id_key unique,
  name text not null,
  hash bytea not null check (length(hash) = 32), -- SHA-256 of the value, which is not kept
  prefix text not null,
  last4 text not null,
  enabled boolean not null,
  created_at timestamptz not null default now(),
  deleted_at timestamptz,
  primary key (tenant_id, key_num)
);
create unique index api_key_hash_key on api_key (tenant_id, hash) where deleted_at is null;
create index api_key_list on api_key (tenant_id, name, key_id) where deleted_at is null;

create table subscription (
  tenant_id integer not null,
  subscription_id bigint generated always as identity constraint subscription_id_key unique,
  plan_id text not null,
  key_num integer not null,
  terms integer not null default 0, -- price sheet version; 0: none
  started_at timestamptz not null default now(),
  ended_at timestamptz,
  primary key (tenant_id, subscription_id),
  foreign key (tenant_id, plan_id) references plan,
  foreign key (tenant_id, key_num) references api_key
);
-- The tenant comes last: with it first, a planner without statistics takes these
-- indexes for look-ups by number and reads all of a tenant's rows.
create unique index subscription_once on subscription (key_num, plan_id, tenant_id) where ended_at is null;
create index subscription_plan on subscription (plan_id, tenant_id) where ended_at is null;

create table quota_window (
  tenant_id integer not null,
  subscription_id bigint not null,
  window_start timestamptz not null,
  granted bigint not null default 0 check (granted >= 0),
  primary key (tenant_id, subscription_id, window_start),
  foreign key (tenant_id, subscription_id) references subscription
);
create index quota_window_age on quota_window (window_start);

-- Who holds how much of a window: what a lost node's share is reclaimed from.
create table quota_lease (
  tenant_id integer not null,
  subscription_id bigint not null,
  window_start timestamptz not null,
  boot text not null,
  gateway_id integer not null references gateway,
  granted bigint not null default 0,
  returned bigint not null default 0,
  updated_at timestamptz not null default now(),
  primary key (tenant_id, subscription_id, window_start, boot),
  foreign key (tenant_id, subscription_id, window_start) references quota_window on delete cascade,
  check (returned between 0 and granted)
);

create table audit (
  tenant_id integer, -- null: of no tenant, the operator's
  audit_id bigint generated always as identity primary key,
  at timestamptz not null default now(),
  actor text not null,
  role text not null,
  action text not null,
  target text not null,
  detail jsonb not null default '{}',
  foreign key (tenant_id) references tenant
);
create index audit_tenant on audit (tenant_id, audit_id desc);

-- One row, changed last in every transaction that changes what nodes serve: its
-- lock makes revisions visible in their order.
create table feed_head (
  one boolean primary key default true check (one),
  rev bigint not null,
  pruned bigint not null -- highest revision whose changes are no longer listed
);
insert into feed_head (rev, pruned) values (1, 1);

-- What a revision touched: a range of numbers of one kind of one tenant. The
-- object's present state is read where it lives; gone from there means deleted.
create table feed_change (
  tenant_id integer not null references tenant,
  rev bigint not null,
  gateway_id integer not null references gateway,
  kind text not null check (kind in ('tenant', 'stage', 'plan', 'key')),
  first_num bigint not null,
  last_num bigint not null,
  at timestamptz not null default now(),
  primary key (gateway_id, rev, tenant_id, kind, first_num)
);
create index feed_change_age on feed_change (at);

create table node_token (
  token_hash bytea primary key,
  gateway_id integer not null references gateway,
  node text not null,
  created_at timestamptz not null default now()
);
create index node_token_node on node_token (gateway_id, node);

create table node (
  gateway_id integer not null references gateway,
  name text not null,
  boot text not null,
  visit bigint not null default 1, -- counts its questions, so that an old connection's end is told from a new one's
  connected boolean not null default true,
  applied_rev bigint not null,
  failures jsonb not null default '[]', -- stages that stayed behind, as the node says
  draining boolean not null default false,
  seen_at timestamptz not null default now(),
  primary key (gateway_id, name)
);

-- A tenant's rows are seen by that tenant's transactions and by those that serve
-- everyone ('*'). Forced, because the program owns its tables.
do $$
declare
  t text;
begin
  foreach t in array array['tenant', 'member', 'access_key', 'api', 'api_source', 'api_method', 'deployment',
    'stage', 'stage_deployment', 'plan', 'plan_stage', 'api_key', 'subscription', 'quota_window', 'quota_lease',
    'audit', 'feed_change']
  loop
    execute format('alter table %I enable row level security', t);
    execute format('alter table %I force row level security', t);
    execute format($policy$create policy tenant_only on %I using (
      tenant_id::text = current_setting('tollgate.tenant', true) or current_setting('tollgate.tenant', true) = '*')$policy$, t);
  end loop;
end $$;
