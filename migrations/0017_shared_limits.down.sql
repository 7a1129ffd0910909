select set_config('tollgate.tenant', '*', true);
drop table node_demand;
drop index quota_lease_recalled;
alter table quota_lease drop column held, drop column used, drop column recalled_at, drop column settled_at;
alter table plan drop constraint plan_fail_open, drop column hard, drop column fail_open, drop column soft_quota;
