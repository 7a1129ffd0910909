select set_config('tollgate.tenant', '*', true);
alter table invoice_line drop constraint invoice_line_meter_check,
  add constraint invoice_line_meter_check check (meter in ('fee', 'calls', 'bytes-out', 'minimum', 'maximum', 'discount', 'coupon', 'top-up'));
drop trigger domain_there on domain;
drop trigger stage_cache on stage;
drop function domain_is, stage_cache_is, resource_is;
drop table resource_interval;
drop table tax_quote;
drop table dispute;
drop table price_change;
drop table plan_change;
alter table subscription drop column follows_id, drop column first_at, drop column whole_fee;
