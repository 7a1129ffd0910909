select set_config('tollgate.tenant', '*', true);

-- taken: units that this start of a node went on with of the lease of the start before it,
-- which was killed. It does so once for each window, however often it says so.
alter table quota_lease add column taken bigint not null default 0 check (taken >= 0);
