select set_config('tollgate.tenant', '*', true);
alter table plan drop column unpaid;
alter table developer drop column overdue_at;
drop table credit_note, payment, collection;
alter table invoice_line drop column tax;
alter table invoice drop column kind, drop column tax, drop column taxes;
alter table installation drop column billing_rules;
alter table tenant drop column billing_rules;
