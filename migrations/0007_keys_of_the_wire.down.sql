alter table quota_window drop column extension;
alter table plan drop column product_code;
drop index api_key_newest;
alter table api_key drop column description, drop column customer_id, drop column stage_keys, drop column sealed, drop column updated_at;
