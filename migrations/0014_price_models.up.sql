-- Lines of an invoice that are not of the fee or of calls: bytes, and what is added
-- to a month or taken off it.
alter table invoice_line drop constraint invoice_line_meter_check,
  add constraint invoice_line_meter_check check (meter in ('fee', 'calls', 'bytes-out', 'minimum', 'maximum', 'discount', 'coupon'));
