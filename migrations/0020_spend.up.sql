select set_config('tollgate.tenant', '*', true);

-- What a month of a subscription may cost at most, in the currency of its price: what
-- one has that does not say otherwise, and the most that its developer may set.
alter table plan
  add column spend_cap numeric(24,12) check (spend_cap > 0),
  add column spend_max numeric(24,12) check (spend_max > 0),
  add column prepaid boolean not null default false, -- calls are served as far as the payer's wallet reaches
  add constraint plan_spend_check check (spend_cap <= spend_max);

-- What was set for one subscription, by its ledger: a new price changes nothing of it.
create table spend_limit (
  tenant_id integer not null,
  subscription_id bigint not null, -- of the ledger
  cap numeric(24,12) check (cap > 0), -- null: the plan's
  alert numeric(24,12) check (alert > 0), -- tell at half, three quarters and all of this; null: of the cap
  updated_at timestamptz not null default now(),
  primary key (tenant_id, subscription_id),
  foreign key (tenant_id, subscription_id) references subscription
);

-- Who was told what of a month. Developer and subscription are empty and 0 of a tenant's
-- own bill; a wallet has no month.
create table spend_alert (
  tenant_id integer not null references tenant,
  developer_id text not null default '',
  subscription_id bigint not null default 0, -- of the ledger
  month timestamptz not null,
  percent integer not null check (percent in (50, 75, 100)),
  spent bigint not null, -- minor units, then
  sent_at timestamptz not null default now(),
  primary key (tenant_id, developer_id, subscription_id, month, percent)
);

-- What a tenant wants to be told of its own bill.
alter table tenant add column spend_alert numeric(24,12) check (spend_alert > 0);

-- Ledgers of calls are of a quota, or (kind 1) of a month's money: then most is how many
-- calls it reaches for, as of computed_at, and money the most minor units that they were
-- ever reckoned by.
alter table quota_lease drop constraint quota_lease_tenant_id_subscription_id_window_start_fkey;
alter table quota_window
  add column kind smallint not null default 0 check (kind in (0, 1)),
  add column most bigint check (most >= 0),
  add column money bigint,
  add column computed_at timestamptz,
  drop constraint quota_window_pkey,
  add primary key (tenant_id, subscription_id, kind, window_start);
alter table quota_lease
  add column kind smallint not null default 0,
  drop constraint quota_lease_pkey,
  add primary key (tenant_id, subscription_id, kind, window_start, boot),
  add constraint quota_lease_window_fkey foreign key (tenant_id, subscription_id, kind, window_start) references quota_window on delete cascade;

do $$
declare
  t text;
begin
  foreach t in array array['spend_limit', 'spend_alert']
  loop
    execute format('alter table %I enable row level security', t);
    execute format('alter table %I force row level security', t);
    execute format($policy$create policy tenant_only on %I using (
      tenant_id::text = current_setting('tollgate.tenant', true) or current_setting('tollgate.tenant', true) = '*')$policy$, t);
  end loop;
end $$;
