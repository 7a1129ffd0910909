-- Only as a part of all migrations down: what the columns held is gone.
drop table tenant_left, invoice_series, invoice_line, invoice, period_close, subscription_key, portal_api, portal, installation, mail,
  attempt, ticket, session, operator;
alter table plan drop column sheet_num, drop column published;
drop table price_sheet;
alter table api_key drop column app_id;
alter table subscription drop column app_id, drop column ledger_id, drop column origin_id, add column key_num integer not null;
drop table app, developer;
drop table usage_day;
alter table deployment drop column source_sha256;
alter table api_source drop column problems;
alter table api drop column source_sha256;
drop index audit_operator, usage_hour_subscription;
alter table audit drop column actor_name, drop column source;
alter table tenant drop column seller, drop column suspended_at, drop column suspended_reason;
alter table member drop column person_id, add column email text not null default '', add column password_hash text not null default '';
drop table person;
drop function is_immutable(), final_invoice_is_immutable(), final_line_is_immutable();
