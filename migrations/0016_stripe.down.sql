drop table stripe_cursor, webhook_event, psp_object, stripe_customer, stripe_account;
