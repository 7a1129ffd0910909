select set_config('tollgate.tenant', '*', true);
delete from quota_window where kind <> 0;
alter table quota_lease
  drop constraint quota_lease_window_fkey,
  drop constraint quota_lease_pkey,
  drop column kind,
  add primary key (tenant_id, subscription_id, window_start, boot);
alter table quota_window
  drop constraint quota_window_pkey,
  drop column kind, drop column most, drop column money, drop column computed_at,
  add primary key (tenant_id, subscription_id, window_start);
alter table quota_lease add foreign key (tenant_id, subscription_id, window_start) references quota_window on delete cascade;
alter table tenant drop column spend_alert;
drop table spend_alert, spend_limit;
alter table plan drop constraint plan_spend_check, drop column prepaid, drop column spend_max, drop column spend_cap;
