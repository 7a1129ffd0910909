select set_config('tollgate.tenant', '*', true);
drop table price_change;
drop table plan_change;
alter table subscription drop column follows_id, drop column first_at, drop column whole_fee;
