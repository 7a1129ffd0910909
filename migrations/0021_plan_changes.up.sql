select set_config('tollgate.tenant', '*', true);

-- A change of plan ends a subscription and begins the next at the same instant. Its fee
-- is charged to its end then, as where a price continues another, unless whole_fee says
-- that what had begun is charged whole. The ledger goes on where both plans have a quota
-- of the same windows.
alter table subscription
  add column follows_id bigint, -- in whose place it came at a change of plan; null: it began by itself
  add column first_at timestamptz, -- when its customer began; null: with it, or with its ledger's first
  add column whole_fee boolean not null default false,
  add foreign key (tenant_id, follows_id) references subscription;
create index subscription_follows on subscription (follows_id, tenant_id) where follows_id is not null;

-- Changes of plan that take effect later, at the price that was agreed. One that could
-- not be made stays with its problem until it is dropped or asked for anew.
create table plan_change (
  tenant_id integer not null,
  subscription_id bigint not null,
  plan_id text not null, -- the next one
  terms integer not null, -- its price; 0: none
  at timestamptz not null,
  asked_by text not null, -- member or developer
  asked_at timestamptz not null default now(),
  problem text not null default '',
  primary key (tenant_id, subscription_id),
  foreign key (tenant_id, subscription_id) references subscription,
  foreign key (tenant_id, plan_id) references plan
);
create index plan_change_due on plan_change (at) where problem = '';

-- A price that a plan has from a day on: the sheet is a version of the plan's, made when
-- it was announced, and becomes the plan's own then.
create table price_change (
  tenant_id integer not null,
  plan_id text not null,
  sheet_num integer not null,
  at timestamptz not null check (at = date_trunc('day', at, 'UTC')),
  move boolean not null, -- running subscriptions go to it too; else they keep theirs
  asked_by text not null,
  asked_at timestamptz not null default now(),
  told_at timestamptz, -- when customers were written to; null: they are yet to be
  primary key (tenant_id, plan_id),
  foreign key (tenant_id, plan_id) references plan
);
create index price_change_due on price_change (at);
create index price_change_untold on price_change (asked_at) where told_at is null;

-- What a tenant has by the hour or the month: caches of stages, by their size, and custom
-- domains. Triggers write it with what it is about, so nothing that changes either can
-- leave it out, and a crash loses nothing. What was there before is there from now on.
create table resource_interval (
  tenant_id integer not null references tenant,
  kind text not null check (kind in ('cache', 'domain')),
  resource text not null, -- a stage's number, or a domain's key
  size text not null, -- of a cache, in GB; of a domain empty
  valid_from timestamptz not null,
  valid_to timestamptz, -- null: it is there
  primary key (tenant_id, kind, resource, valid_from),
  check (valid_to > valid_from)
);
create unique index resource_interval_open on resource_interval (tenant_id, kind, resource) where valid_to is null;

alter table invoice_line drop constraint invoice_line_meter_check,
  add constraint invoice_line_meter_check check (
    meter in ('fee', 'calls', 'bytes-out', 'minimum', 'maximum', 'discount', 'coupon', 'top-up', 'domain-months') or meter like 'cache-hours-%');

-- From now on a resource has this size; null: it is gone.
create function resource_is(of_tenant integer, of_kind text, named text, sized text) returns void language plpgsql as $$
begin
  if exists (select from resource_interval where tenant_id = of_tenant and kind = of_kind and resource = named and valid_to is null and size = sized) then
    return;
  end if;
  delete from resource_interval where tenant_id = of_tenant and kind = of_kind and resource = named and valid_to is null and valid_from >= now();
  update resource_interval set valid_to = now() where tenant_id = of_tenant and kind = of_kind and resource = named and valid_to is null;
  if sized is not null then
    insert into resource_interval (tenant_id, kind, resource, size, valid_from) values (of_tenant, of_kind, named, sized, now());
  end if;
end $$;

create function stage_cache_is() returns trigger language plpgsql as $$
begin
  perform resource_is(new.tenant_id, 'cache', new.stage_num::text, case
    when new.deleted_at is null and (new.settings->>'cacheClusterEnabled')::boolean then coalesce(nullif(new.settings->>'cacheClusterSize', ''), '0.5') end);
  return null;
end $$;
create trigger stage_cache after insert or update of settings, deleted_at on stage for each row execute function stage_cache_is();

create function domain_is() returns trigger language plpgsql as $$
begin
  if tg_op = 'DELETE' then
    perform resource_is(old.tenant_id, 'domain', old.key, null);
  else
    perform resource_is(new.tenant_id, 'domain', new.key, '');
  end if;
  return null;
end $$;
create trigger domain_there after insert or delete on domain for each row execute function domain_is();

insert into resource_interval (tenant_id, kind, resource, size, valid_from)
  select tenant_id, 'cache', stage_num::text, coalesce(nullif(settings->>'cacheClusterSize', ''), '0.5'), now() from stage
  where deleted_at is null and (settings->>'cacheClusterEnabled')::boolean
  union all select tenant_id, 'domain', key, '', now() from domain;

-- Payments that the card's holder disputes. While it is open, the invoice is as paid as it
-- was, and says so; lost, the amount is booked as paid back.
create table dispute (
  tenant_id integer not null references tenant,
  dispute_id text not null, -- dp_…, and the invoice's part of it where it is of several
  invoice_id text not null,
  amount bigint not null check (amount > 0), -- minor units
  reason text not null,
  state text not null check (state in ('open', 'won', 'lost')),
  answer_by timestamptz, -- what shows that it is wrong has to be at Stripe
  at timestamptz not null,
  updated_at timestamptz not null,
  primary key (tenant_id, invoice_id, dispute_id),
  foreign key (tenant_id, invoice_id) references invoice
);

-- What Stripe Tax said of a bill as it stood: of the same net amount, seller and payer it
-- is asked once.
create table tax_quote (
  tenant_id integer not null references tenant,
  hash text not null, -- of the question
  question jsonb not null,
  taxes jsonb, -- null: not answered yet
  problem text not null default '', -- why it is not
  asked_at timestamptz not null,
  primary key (tenant_id, hash)
);

do $$
declare
  t text;
begin
  foreach t in array array['plan_change', 'price_change', 'resource_interval', 'dispute', 'tax_quote']
  loop
    execute format('alter table %I enable row level security', t);
    execute format('alter table %I force row level security', t);
    execute format($policy$create policy tenant_only on %I using (
      tenant_id::text = current_setting('tollgate.tenant', true) or current_setting('tollgate.tenant', true) = '*')$policy$, t);
  end loop;
end $$;
