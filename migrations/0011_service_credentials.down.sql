delete from feed_change where kind = 'credential';
alter table feed_change drop constraint feed_change_kind_check,
  add constraint feed_change_kind_check check (kind in ('tenant', 'stage', 'plan', 'key', 'domain'));
drop table service_credential;
