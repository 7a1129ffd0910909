select set_config('tollgate.tenant', '*', true);

-- What an access key may call; null: its owner's role decides.
alter table access_key add column policy text;

-- Nodes verify signed calls with keys of days, which the control plane gives them anew
-- each day: the last one on which it did.
alter table feed_head add column signer_day date not null default '1970-01-01';

alter table feed_change drop constraint feed_change_kind_check,
  add constraint feed_change_kind_check check (kind in ('tenant', 'stage', 'plan', 'key', 'domain', 'credential', 'signer'));
