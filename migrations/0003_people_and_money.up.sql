-- People with a browser: who works on an account, who operates the installation,
-- who buys on a portal; their sessions and mails; and the money: price sheets,
-- billing runs, invoices.

-- What is there is carried over for every tenant, past the fence around each.
select set_config('tollgate.tenant', '*', true);

-- A person signs in once and may work on several accounts.
create table person (
  person_id text primary key,
  email text not null,
  name text not null default '',
  password_hash text not null, -- argon2id, PHC string
  created_at timestamptz not null default now()
);
create unique index person_email_key on person (lower(email));

insert into person (person_id, email, password_hash, created_at)
  select member_id, email, password_hash, created_at from member;

alter table member add column person_id text references person;
update member set person_id = member_id;
alter table member alter column person_id set not null,
  add constraint member_once unique (tenant_id, person_id),
  drop column email, drop column password_hash;
create index member_person on member (person_id);
drop index tenant_email_key; -- a person may own several accounts

create table operator (
  operator_id text primary key,
  email text not null,
  name text not null default '',
  password_hash text not null,
  created_at timestamptz not null default now()
);
create unique index operator_email_key on operator (lower(email));

-- One browser that is signed in. The id is in the cookie only; its hash is here.
create table session (
  id_hash bytea primary key check (length(id_hash) = 32),
  realm text not null check (realm in ('console', 'operator', 'portal')),
  subject text not null, -- person, operator or developer
  tenant_id integer references tenant, -- the account worked on, or the portal's
  data jsonb not null default '{}',
  created_at timestamptz not null default now(),
  seen_at timestamptz not null default now(),
  expires_at timestamptz not null
);
create index session_subject on session (realm, subject);
create index session_age on session (expires_at);

-- What a link in a mail stands for: used once, before it expires.
create table ticket (
  token_hash bytea primary key check (length(token_hash) = 32),
  kind text not null check (kind in ('sign-up', 'reset', 'invitation', 'developer-sign-up', 'developer-reset')),
  tenant_id integer references tenant,
  ticket_id text not null constraint ticket_id_key unique, -- names it in lists, where the token must not be
  subject text, -- person or developer, where there is one
  email text not null,
  payload jsonb not null default '{}',
  created_at timestamptz not null default now(),
  expires_at timestamptz not null
);
create index ticket_subject on ticket (kind, lower(email));
create index ticket_age on ticket (expires_at);

-- Buckets against guessing: one row per account or address that was tried, with
-- the time at which its bucket is full again (GCRA).
create table attempt (
  key_hash bytea primary key check (length(key_hash) = 32),
  full_at timestamptz not null
);
create index attempt_age on attempt (full_at);

-- Mails on their way. The content holds links that open accounts: it is sealed
-- with the installation's key, and gone once the mail is sent.
create table mail (
  mail_id bigint generated always as identity primary key,
  tenant_id integer references tenant,
  recipient text not null,
  purpose text not null,
  sealed bytea, -- nonce and AES-256-GCM of subject and text
  created_at timestamptz not null default now(),
  sent_at timestamptz,
  attempts integer not null default 0,
  problem text not null default ''
);
create index mail_age on mail (created_at);

-- What the operator decides for the whole installation.
create table installation (
  one boolean primary key default true check (one),
  sign_up text not null default 'open' check (sign_up in ('open', 'invitation')),
  smtp jsonb not null default '{}', -- host, port, user name, from, encryption
  smtp_password bytea, -- sealed
  seller jsonb not null default '{}', -- name, address, tax id, e-mail on invoices to tenants
  updated_at timestamptz not null default now()
);
insert into installation default values;

alter table tenant add column seller jsonb not null default '{}', -- the same, on invoices to developers
  add column suspended_at timestamptz, -- null: it is not
  add column suspended_reason text not null default ''; -- for its members to read
update tenant set suspended_at = now() where suspended;
alter table tenant add constraint tenant_suspended_check check (suspended = (suspended_at is not null));
alter table audit add column actor_name text not null default '';
alter table audit add column source text not null default ''; -- address, or where no network was between
create index audit_action on audit (tenant_id, action, audit_id desc);
create index audit_operator on audit (audit_id desc) where role = 'operator' or tenant_id is null;

-- The hours of a day (UTC) summed up: what is asked of weeks and months reads
-- these. Written with usage_hour, by the same transaction, so that both always
-- hold the same calls.
create table usage_day (
  tenant_id integer not null,
  day timestamptz not null,
  stage_num integer not null,
  method_num integer not null,
  subscription_id bigint not null,
  key_num integer not null,
  terms integer not null,
  status integer not null,
  flags integer not null,
  gen integer not null,
  calls numeric(38,0) not null,
  bytes_in numeric(38,0) not null,
  bytes_out numeric(38,0) not null,
  micros numeric(38,0) not null,
  primary key (tenant_id, day, stage_num, method_num, subscription_id, key_num, terms, status, flags, gen)
) partition by range (day);
create table usage_day_default partition of usage_day default;
create index usage_day_by_day on usage_day (day); -- the operator's figures are of all tenants
-- What one customer used, and the hours behind a line of an invoice.
create index usage_day_subscription on usage_day (tenant_id, subscription_id, day);
create index usage_hour_subscription on usage_hour (tenant_id, subscription_id, hour);
insert into usage_day
  select tenant_id, date_trunc('day', hour, 'UTC'), stage_num, method_num, subscription_id, key_num, terms, status, flags, gen,
    sum(calls), sum(bytes_in), sum(bytes_out), sum(micros)
  from usage_hour group by 1, 2, 3, 4, 5, 6, 7, 8, 9, 10;
select usage_fence('usage_day'), usage_fence('usage_day_default');

-- Sources by their content, so that a deployment keeps the document it was made from.
alter table api add column source_sha256 bytea;
update api set source_sha256 = s.sha256 from api_source s where (s.tenant_id, s.api_id) = (api.tenant_id, api.api_id);
alter table api_source drop constraint api_source_pkey,
  add primary key (tenant_id, api_id, sha256),
  add column problems jsonb not null default '[]'; -- what the import could not take
alter table deployment add column source_sha256 bytea;

-- What is charged: an immutable version. Its number is the terms in usage records.
create table price_sheet (
  sheet_num integer generated always as identity primary key,
  tenant_id integer references tenant, -- null: the operator's, for tenants
  plan_id text, -- null: the operator's
  version integer not null check (version > 0),
  sheet jsonb not null,
  from_month date, -- of an operator's sheet: the first month it is billed by
  created_by text not null,
  created_at timestamptz not null default now(),
  constraint price_sheet_tenant_key unique (tenant_id, sheet_num),
  foreign key (tenant_id, plan_id) references plan,
  check ((tenant_id is null) = (plan_id is null) and (tenant_id is null) = (from_month is not null))
);
create unique index price_sheet_version on price_sheet (tenant_id, plan_id, version) nulls not distinct;

create function is_immutable() returns trigger language plpgsql as $$
begin
  raise exception '% is never changed', tg_table_name;
end $$;
create trigger price_sheet_is_immutable before update or delete on price_sheet
  for each row execute function is_immutable();

alter table plan add column sheet_num integer; -- what new subscriptions are charged by
alter table plan add column published boolean not null default false; -- offered on the portal
alter table plan add foreign key (tenant_id, sheet_num) references price_sheet (tenant_id, sheet_num);

-- The tenant's developer portal.
create table portal (
  tenant_id integer primary key references tenant,
  slug text not null constraint portal_slug_key unique
    constraint portal_slug_check check (slug ~ '^[a-z0-9]([a-z0-9-]{0,38}[a-z0-9])?$'),
  title text not null,
  tagline text not null default '',
  accent text not null default '' constraint portal_accent_check check (accent ~ '^(#[0-9a-fA-F]{6})?$'),
  support_email text not null default '',
  sign_up text not null default 'open' check (sign_up in ('open', 'closed')),
  published boolean not null default false,
  created_at timestamptz not null default now(),
  updated_at timestamptz not null default now()
);

create table portal_api (
  tenant_id integer not null,
  api_id text not null,
  stage_num integer not null,
  summary text not null default '',
  published_at timestamptz not null default now(),
  primary key (tenant_id, api_id),
  foreign key (tenant_id, api_id) references api,
  foreign key (tenant_id, stage_num) references stage
);

create table developer (
  tenant_id integer not null references tenant,
  developer_id text not null constraint developer_id_key unique,
  email text not null,
  name text not null default '',
  password_hash text not null,
  billing jsonb not null default '{}', -- name, address, tax id on invoices
  disabled boolean not null default false,
  created_at timestamptz not null default now(),
  primary key (tenant_id, developer_id)
);
create unique index developer_email_key on developer (tenant_id, lower(email));

create table app (
  tenant_id integer not null,
  app_id text not null constraint app_id_key unique,
  developer_id text not null,
  name text not null,
  created_at timestamptz not null default now(),
  deleted_at timestamptz,
  primary key (tenant_id, app_id),
  foreign key (tenant_id, developer_id) references developer
);
create index app_developer on app (tenant_id, developer_id, name);

-- A subscription has keys: those of an app share its quota, its terms and its fee.
-- A key that the tenant hands out itself has a subscription of its own.
alter table api_key add column app_id text,
  add foreign key (tenant_id, app_id) references app;
create index api_key_app on api_key (tenant_id, app_id) where app_id is not null;

alter table subscription add column app_id text,
  -- A price belongs to a subscription for its whole life. Moving to another price ends
  -- one and begins the next at the same instant, which continues it: the quota goes on
  -- in the same ledger, under the number of the first, and the fee of the ended one
  -- runs to its end only. One that begins later takes over a ledger nobody uses.
  add column origin_id bigint, -- the first of those whose ledger it goes on with; null: it is the first
  add column ledger_id bigint generated always as (coalesce(origin_id, subscription_id)) stored,
  add foreign key (tenant_id, app_id) references app,
  add foreign key (tenant_id, origin_id) references subscription;
create table subscription_key (
  tenant_id integer not null,
  subscription_id bigint not null,
  key_num integer not null,
  added_at timestamptz not null default now(),
  primary key (tenant_id, subscription_id, key_num),
  foreign key (tenant_id, subscription_id) references subscription,
  foreign key (tenant_id, key_num) references api_key
);
insert into subscription_key (tenant_id, subscription_id, key_num, added_at)
  select tenant_id, subscription_id, key_num, started_at from subscription;
drop index subscription_once;
alter table subscription drop column key_num;
-- The tenant comes last, as above.
create index subscription_key_key on subscription_key (key_num, subscription_id, tenant_id);
create unique index subscription_ledger_once on subscription (ledger_id, tenant_id) where ended_at is null;
create index subscription_app on subscription (app_id, tenant_id) where app_id is not null;
create index subscription_plan_app on subscription (plan_id, tenant_id) where ended_at is null and app_id is not null;
create unique index subscription_app_once on subscription (app_id, plan_id, tenant_id) where ended_at is null and app_id is not null;

-- How often a tenant's month was cut for a bill. Usage lines carry the generation
-- they came in with (absent: 0), so what was billed and what came later never mix.
create table period_close (
  tenant_id integer not null references tenant,
  period_start timestamptz not null check (period_start = date_trunc('month', period_start, 'UTC')),
  gen integer not null check (gen > 0),
  closed_at timestamptz not null default now(),
  primary key (tenant_id, period_start)
);

-- An invoice of a tenant to one of its developers, or of the operator to a tenant.
create table invoice (
  tenant_id integer not null references tenant,
  invoice_id text not null constraint invoice_id_key unique,
  seller text not null check (seller in ('operator', 'tenant')),
  developer_id text, -- who pays; null: the tenant
  period_start timestamptz not null,
  period_end timestamptz not null,
  state text not null check (state in ('draft', 'final')),
  series text not null, -- whose numbers: 'operator' or the tenant's account id
  serial bigint, -- without gaps in a series, from 1
  number text,
  currency text not null check (currency ~ '^[A-Z]{3}$'),
  total bigint not null, -- minor units
  from_party jsonb not null,
  to_party jsonb not null,
  cut integer, -- usage of generations up to this one is in it
  created_at timestamptz not null default now(),
  finalized_at timestamptz,
  primary key (tenant_id, invoice_id),
  foreign key (tenant_id, developer_id) references developer,
  check ((seller = 'tenant') = (developer_id is not null)),
  check ((state = 'final') = (serial is not null and number is not null and cut is not null and finalized_at is not null)),
  constraint invoice_serial_key unique (series, serial)
);
create unique index invoice_one_draft on invoice (tenant_id, seller, developer_id, period_start, currency) nulls not distinct
  where state = 'draft';
create index invoice_developer on invoice (tenant_id, developer_id, period_start desc);

create table invoice_line (
  tenant_id integer not null,
  invoice_id text not null,
  line integer not null,
  subscription_id bigint not null, -- 0: the tenant's whole account
  sheet_num integer not null references price_sheet,
  meter text not null check (meter in ('fee', 'calls')),
  title text not null,
  quantity numeric(38,0) not null, -- calls; months of a fee: 1
  steps jsonb not null, -- how the amount comes about, tier by tier
  exact numeric(38,12) not null, -- major units, of everything known for the period
  invoiced bigint not null, -- minor units that earlier invoices of the period hold for this
  amount bigint not null, -- minor units: exact, rounded once, less what was invoiced
  primary key (tenant_id, invoice_id, line),
  foreign key (tenant_id, invoice_id) references invoice on delete cascade
);
create index invoice_line_subscription on invoice_line (tenant_id, subscription_id);

create function final_invoice_is_immutable() returns trigger language plpgsql as $$
begin
  if old.state = 'final' then raise exception 'a final invoice is never changed'; end if;
  return case tg_op when 'DELETE' then old else new end;
end $$;
create trigger final_invoice_is_immutable before update or delete on invoice
  for each row execute function final_invoice_is_immutable();
create function final_line_is_immutable() returns trigger language plpgsql as $$
begin
  if exists (select from invoice i where (i.tenant_id, i.invoice_id) = (coalesce(old.tenant_id, new.tenant_id), coalesce(old.invoice_id, new.invoice_id)) and i.state = 'final') then
    raise exception 'a line of a final invoice is never changed';
  end if;
  return case tg_op when 'DELETE' then old else new end;
end $$;
create trigger final_line_is_immutable before insert or update or delete on invoice_line
  for each row execute function final_line_is_immutable();

-- Gateways that served a tenant before: their nodes may still hold calls of it.
create table tenant_left (
  tenant_id integer not null references tenant,
  gateway_id integer not null references gateway,
  left_at timestamptz not null default now(),
  primary key (tenant_id, gateway_id)
);

create table invoice_series (
  series text primary key,
  next bigint not null check (next > 0)
);

do $$
declare
  t text;
begin
  foreach t in array array['session', 'ticket', 'mail', 'portal', 'portal_api', 'developer', 'app', 'subscription_key',
    'period_close', 'tenant_left', 'invoice', 'invoice_line']
  loop
    execute format('alter table %I enable row level security', t);
    execute format('alter table %I force row level security', t);
    execute format($policy$create policy tenant_only on %I using (
      tenant_id::text = current_setting('tollgate.tenant', true) or current_setting('tollgate.tenant', true) = '*')$policy$, t);
  end loop;
  -- The operator's prices are for every tenant to read.
  alter table price_sheet enable row level security;
  alter table price_sheet force row level security;
  create policy tenant_only on price_sheet using (
      tenant_id is null or tenant_id::text = current_setting('tollgate.tenant', true) or current_setting('tollgate.tenant', true) = '*')
    with check (tenant_id::text = current_setting('tollgate.tenant', true) or current_setting('tollgate.tenant', true) = '*');
end $$;
