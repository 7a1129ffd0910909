delete from feed_change where kind = 'domain';
alter table feed_change drop constraint feed_change_kind_check,
  add constraint feed_change_kind_check check (kind in ('tenant', 'stage', 'plan', 'key'));
drop table acme_lock, acme_challenge, acme_file, routing_rule, base_path_mapping, domain, certificate, owned_name;
