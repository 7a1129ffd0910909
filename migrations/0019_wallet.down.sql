-- Refused while there is a top-up, a payment given back or a line of a customer's
-- coupon: they could not be kept.
select set_config('tollgate.tenant', '*', true);
alter table invoice_line drop constraint invoice_line_sheet_check,
  drop column use_id,
  alter column sheet_num set not null,
  drop constraint invoice_line_meter_check,
  add constraint invoice_line_meter_check check (meter in ('fee', 'calls', 'bytes-out', 'minimum', 'maximum', 'discount', 'coupon'));
drop table coupon_use, coupon;
alter table payment drop constraint payment_check,
  add constraint payment_check check (case kind when 'refund' then amount < 0 when 'failed' then amount = 0 else amount > 0 end);
alter table invoice drop constraint invoice_kind_check,
  add constraint invoice_kind_check check (kind in ('invoice', 'adjustment'));
drop table ledger_entry, ledger_transaction, credit_grant, wallet;
drop function ledger_balances, ledger_entry_counts, grant_terms_are_fixed;
