select set_config('tollgate.tenant', '*', true);

-- How exactly a plan's limits are kept on several nodes. hard: its throttles are one
-- counter in Redis, else each node has a share; fail_open: shares, too, while Redis is
-- away, else no call passes. soft_quota: what a lost node may have left of the quota is
-- given out again before its journal is in.
alter table plan
  add column hard boolean not null default false,
  add column fail_open boolean not null default false,
  add column soft_quota boolean not null default false,
  add constraint plan_fail_open check (hard or not fail_open);

-- held: at most what the node has unused, as it said last. used: calls that its journal
-- has shown to be drawn on the lease; null for leases older than this migration, of which
-- it is not known. recalled_at: the node is asked to give back what it holds.
alter table quota_lease
  add column held bigint not null default 0 check (held >= 0),
  add column used bigint check (used >= 0),
  add column recalled_at timestamptz,
  add column settled_at timestamptz;
alter table quota_lease alter column used set default 0;
create index quota_lease_recalled on quota_lease (boot) where recalled_at is not null;

-- What nodes last said of the calls that their shares of throttles see. It is worth
-- nothing after a few seconds, so a crash may empty it.
create unlogged table node_demand (
  gateway_id integer not null references gateway,
  boot text not null,
  at timestamptz not null default now(),
  buckets bigint[] not null,
  demands real[] not null,
  primary key (gateway_id, boot),
  check (cardinality(buckets) = cardinality(demands))
);
