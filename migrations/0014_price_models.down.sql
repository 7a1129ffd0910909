-- Refused while there is an invoice with such a line: it could not be kept.
alter table invoice_line drop constraint invoice_line_meter_check,
  add constraint invoice_line_meter_check check (meter in ('fee', 'calls'));
