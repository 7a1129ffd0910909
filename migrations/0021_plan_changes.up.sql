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

do $$
declare
  t text;
begin
  foreach t in array array['plan_change', 'price_change']
  loop
    execute format('alter table %I enable row level security', t);
    execute format('alter table %I force row level security', t);
    execute format($policy$create policy tenant_only on %I using (
      tenant_id::text = current_setting('tollgate.tenant', true) or current_setting('tollgate.tenant', true) = '*')$policy$, t);
  end loop;
end $$;
