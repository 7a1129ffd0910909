select set_config('tollgate.tenant', '*', true);
delete from feed_change where kind = 'signer';
alter table feed_change drop constraint feed_change_kind_check,
  add constraint feed_change_kind_check check (kind in ('tenant', 'stage', 'plan', 'key', 'domain', 'credential'));
alter table feed_head drop column signer_day;
alter table access_key drop column policy;
