-- The schema as the migrations make it. Written by `make dump`; do not edit.

CREATE TYPE public.river_job_state AS ENUM (
    'available',
    'cancelled',
    'completed',
    'discarded',
    'pending',
    'retryable',
    'running',
    'scheduled'
);

CREATE FUNCTION public.deployment_is_immutable() RETURNS trigger
    LANGUAGE plpgsql
    AS $$
begin
  if to_jsonb(old) - 'description' is distinct from to_jsonb(new) - 'description' then
    raise exception 'a deployment is never changed';
  end if;
  return new;
end $$;

CREATE FUNCTION public.domain_is() RETURNS trigger
    LANGUAGE plpgsql
    AS $$
begin
  if tg_op = 'DELETE' then
    perform resource_is(old.tenant_id, 'domain', old.key, null);
  else
    perform resource_is(new.tenant_id, 'domain', new.key, '');
  end if;
  return null;
end $$;

CREATE FUNCTION public.final_invoice_is_immutable() RETURNS trigger
    LANGUAGE plpgsql
    AS $$
begin
  if old.state = 'final' then raise exception 'a final invoice is never changed'; end if;
  return case tg_op when 'DELETE' then old else new end;
end $$;

CREATE FUNCTION public.final_line_is_immutable() RETURNS trigger
    LANGUAGE plpgsql
    AS $$
begin
  if exists (select from invoice i where (i.tenant_id, i.invoice_id) = (coalesce(old.tenant_id, new.tenant_id), coalesce(old.invoice_id, new.invoice_id)) and i.state = 'final') then
    raise exception 'a line of a final invoice is never changed';
  end if;
  return case tg_op when 'DELETE' then old else new end;
end $$;

CREATE FUNCTION public.grant_terms_are_fixed() RETURNS trigger
    LANGUAGE plpgsql
    AS $$
begin
  if tg_op = 'DELETE' or to_jsonb(new) - 'remaining' <> to_jsonb(old) - 'remaining' then
    raise exception 'what was granted is never changed';
  end if;
  return new;
end $$;

CREATE FUNCTION public.is_immutable() RETURNS trigger
    LANGUAGE plpgsql
    AS $$
begin
  raise exception '% is never changed', tg_table_name;
end $$;

CREATE FUNCTION public.ledger_balances() RETURNS trigger
    LANGUAGE plpgsql
    AS $$
declare
  n bigint;
  off numeric;
begin
  select count(*), sum(amount) into n, off from ledger_entry where (tenant_id, transaction_id) = (new.tenant_id, new.transaction_id);
  if n < 2 or off <> 0 then
    raise exception 'transaction % of the ledger does not balance: % entries come to %', new.transaction_id, n, off;
  end if;
  return null;
end $$;

CREATE FUNCTION public.ledger_entry_counts() RETURNS trigger
    LANGUAGE plpgsql
    AS $$
begin
  if new.account = 'credit' then
    update credit_grant set remaining = remaining + new.amount where (tenant_id, grant_id) = (new.tenant_id, new.grant_id);
    update wallet set balance = balance + new.amount where (tenant_id, wallet_id) = (new.tenant_id, new.wallet_id);
  elsif new.account = 'owed' then
    update wallet set owed = owed - new.amount where (tenant_id, wallet_id) = (new.tenant_id, new.wallet_id);
  end if;
  return null;
end $$;

CREATE FUNCTION public.resource_is(of_tenant integer, of_kind text, named text, sized text) RETURNS void
    LANGUAGE plpgsql
    AS $$
begin
  if exists (select from resource_interval where tenant_id = of_tenant and kind = of_kind and resource = named and valid_to is null and size = sized) then
    return;
  end if;
  delete from resource_interval where tenant_id = of_tenant and kind = of_kind and resource = named and valid_to is null and valid_from >= now();
  update resource_interval set valid_to = now() where tenant_id = of_tenant and kind = of_kind and resource = named and valid_to is null;
  if sized is not null then
    insert into resource_interval (tenant_id, kind, resource, size, valid_from) values (of_tenant, of_kind, named, sized, now());
  end if;
end $$;

CREATE FUNCTION public.river_job_state_in_bitmask(bitmask bit, state public.river_job_state) RETURNS boolean
    LANGUAGE sql IMMUTABLE
    AS $$
    SELECT CASE state
        WHEN 'available' THEN get_bit(bitmask, 7)
        WHEN 'cancelled' THEN get_bit(bitmask, 6)
        WHEN 'completed' THEN get_bit(bitmask, 5)
        WHEN 'discarded' THEN get_bit(bitmask, 4)
        WHEN 'pending'   THEN get_bit(bitmask, 3)
        WHEN 'retryable' THEN get_bit(bitmask, 2)
        WHEN 'running'   THEN get_bit(bitmask, 1)
        WHEN 'scheduled' THEN get_bit(bitmask, 0)
        ELSE 0
    END = 1;
$$;

CREATE FUNCTION public.stage_cache_is() RETURNS trigger
    LANGUAGE plpgsql
    AS $$
begin
  perform resource_is(new.tenant_id, 'cache', new.stage_num::text, case
    when new.deleted_at is null and (new.settings->>'cacheClusterEnabled')::boolean then coalesce(nullif(new.settings->>'cacheClusterSize', ''), '0.5') end);
  return null;
end $$;

CREATE FUNCTION public.usage_fence(t regclass) RETURNS void
    LANGUAGE plpgsql
    AS $_$
begin
  execute format('alter table %s enable row level security', t);
  execute format('alter table %s force row level security', t);
  execute format($policy$create policy tenant_only on %s using (
    tenant_id::text = current_setting('tollgate.tenant', true) or current_setting('tollgate.tenant', true) = '*')$policy$, t);
end $_$;

CREATE FUNCTION public.usage_intake_fence() RETURNS trigger
    LANGUAGE plpgsql
    AS $$
begin
  if current_setting('tollgate.tenant', true) is distinct from '*' then
    raise exception 'usage of all tenants goes in by usage_intake: tollgate.tenant must be *' using errcode = 'insufficient_privilege';
  end if;
  return null;
end $$;

CREATE TABLE public.access_association (
    tenant_id integer NOT NULL,
    domain_num integer NOT NULL,
    name text NOT NULL,
    source text NOT NULL,
    created_at timestamp with time zone DEFAULT now() NOT NULL,
    CONSTRAINT access_association_source_check CHECK (((length(source) >= 6) AND (length(source) <= 69)))
);

ALTER TABLE ONLY public.access_association FORCE ROW LEVEL SECURITY;

CREATE TABLE public.access_key (
    tenant_id integer NOT NULL,
    access_key_id text NOT NULL,
    member_id text NOT NULL,
    secret bytea NOT NULL,
    enabled boolean DEFAULT true NOT NULL,
    created_at timestamp with time zone DEFAULT now() NOT NULL,
    policy text
);

ALTER TABLE ONLY public.access_key FORCE ROW LEVEL SECURITY;

CREATE TABLE public.account_settings (
    tenant_id integer NOT NULL,
    log_role_arn text NOT NULL,
    CONSTRAINT account_settings_log_role_arn_check CHECK ((length(log_role_arn) <= 2048))
);

ALTER TABLE ONLY public.account_settings FORCE ROW LEVEL SECURITY;

CREATE TABLE public.acme_challenge (
    name text NOT NULL,
    answers jsonb NOT NULL,
    at timestamp with time zone DEFAULT now() NOT NULL
);

CREATE TABLE public.acme_file (
    key text NOT NULL,
    value bytea NOT NULL,
    modified_at timestamp with time zone DEFAULT now() NOT NULL
);

CREATE TABLE public.acme_lock (
    name text NOT NULL,
    holder text NOT NULL,
    expires_at timestamp with time zone NOT NULL
);

CREATE TABLE public.api (
    tenant_id integer NOT NULL,
    api_id text NOT NULL,
    name text NOT NULL,
    definition jsonb,
    hash text NOT NULL,
    methods integer NOT NULL,
    revision bigint DEFAULT 1 NOT NULL,
    created_at timestamp with time zone DEFAULT now() NOT NULL,
    updated_at timestamp with time zone DEFAULT now() NOT NULL,
    deleted_at timestamp with time zone,
    source_sha256 bytea,
    about jsonb DEFAULT '{}'::jsonb NOT NULL,
    CONSTRAINT api_check CHECK (((definition IS NULL) = (deleted_at IS NOT NULL)))
);
ALTER TABLE ONLY public.api ALTER COLUMN definition SET COMPRESSION lz4;

ALTER TABLE ONLY public.api FORCE ROW LEVEL SECURITY;

CREATE TABLE public.api_key (
    tenant_id integer NOT NULL,
    key_num integer NOT NULL,
    key_id text NOT NULL,
    name text NOT NULL,
    hash bytea NOT NULL,
    prefix text NOT NULL,
    last4 text NOT NULL,
    enabled boolean NOT NULL,
    created_at timestamp with time zone DEFAULT now() NOT NULL,
    deleted_at timestamp with time zone,
    app_id text,
    description text DEFAULT ''::text NOT NULL,
    customer_id text DEFAULT ''::text NOT NULL,
    stage_keys text[] DEFAULT '{}'::text[] NOT NULL,
    sealed bytea,
    updated_at timestamp with time zone DEFAULT now() NOT NULL,
    CONSTRAINT api_key_hash_check CHECK ((length(hash) = 32))
);

ALTER TABLE ONLY public.api_key FORCE ROW LEVEL SECURITY;

ALTER TABLE public.api_key ALTER COLUMN key_num ADD GENERATED ALWAYS AS IDENTITY (
    SEQUENCE NAME public.api_key_key_num_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1
);

CREATE TABLE public.api_method (
    tenant_id integer NOT NULL,
    api_id text NOT NULL,
    path text NOT NULL,
    verb text NOT NULL,
    method_num integer NOT NULL
);

ALTER TABLE ONLY public.api_method FORCE ROW LEVEL SECURITY;

ALTER TABLE public.api_method ALTER COLUMN method_num ADD GENERATED ALWAYS AS IDENTITY (
    SEQUENCE NAME public.api_method_method_num_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1
);

CREATE TABLE public.api_source (
    tenant_id integer NOT NULL,
    api_id text NOT NULL,
    name text NOT NULL,
    format text NOT NULL,
    sha256 bytea NOT NULL,
    bytes bytea NOT NULL,
    imported_at timestamp with time zone DEFAULT now() NOT NULL,
    problems jsonb DEFAULT '[]'::jsonb NOT NULL
);

ALTER TABLE ONLY public.api_source FORCE ROW LEVEL SECURITY;

CREATE TABLE public.app (
    tenant_id integer NOT NULL,
    app_id text NOT NULL,
    developer_id text NOT NULL,
    name text NOT NULL,
    created_at timestamp with time zone DEFAULT now() NOT NULL,
    deleted_at timestamp with time zone
);

ALTER TABLE ONLY public.app FORCE ROW LEVEL SECURITY;

CREATE TABLE public.attempt (
    key_hash bytea NOT NULL,
    full_at timestamp with time zone NOT NULL,
    CONSTRAINT attempt_key_hash_check CHECK ((length(key_hash) = 32))
);

CREATE TABLE public.audit (
    tenant_id integer,
    audit_id bigint NOT NULL,
    at timestamp with time zone DEFAULT now() NOT NULL,
    actor text NOT NULL,
    role text NOT NULL,
    action text NOT NULL,
    target text NOT NULL,
    detail jsonb DEFAULT '{}'::jsonb NOT NULL,
    actor_name text DEFAULT ''::text NOT NULL,
    source text DEFAULT ''::text NOT NULL
);

ALTER TABLE ONLY public.audit FORCE ROW LEVEL SECURITY;

ALTER TABLE public.audit ALTER COLUMN audit_id ADD GENERATED ALWAYS AS IDENTITY (
    SEQUENCE NAME public.audit_audit_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1
);

CREATE TABLE public.base_path_mapping (
    tenant_id integer NOT NULL,
    domain_num integer NOT NULL,
    base_path text NOT NULL,
    api_id text NOT NULL,
    stage text NOT NULL,
    CONSTRAINT base_path_mapping_base_path_check CHECK ((length(base_path) <= 300))
);

ALTER TABLE ONLY public.base_path_mapping FORCE ROW LEVEL SECURITY;

CREATE TABLE public.book_check (
    name text NOT NULL,
    ran_at timestamp with time zone NOT NULL,
    figures jsonb NOT NULL,
    wrong bigint NOT NULL,
    problems jsonb NOT NULL
);

CREATE TABLE public.call_boot (
    boot uuid NOT NULL,
    gateway_id integer NOT NULL,
    seq bigint NOT NULL,
    seen_at timestamp with time zone DEFAULT now() NOT NULL,
    CONSTRAINT call_boot_seq_check CHECK ((seq > 0))
);

CREATE TABLE public.call_left (
    tenant_id integer NOT NULL,
    stage_num integer NOT NULL,
    minute timestamp with time zone NOT NULL,
    calls bigint NOT NULL,
    lines bigint NOT NULL,
    CONSTRAINT call_left_calls_check CHECK ((calls >= 0)),
    CONSTRAINT call_left_lines_check CHECK ((lines >= 0))
);

ALTER TABLE ONLY public.call_left FORCE ROW LEVEL SECURITY;

CREATE TABLE public.call_log (
    tenant_id integer NOT NULL,
    at timestamp with time zone NOT NULL,
    request_id uuid NOT NULL,
    tx bigint DEFAULT ((pg_current_xact_id())::text)::bigint NOT NULL,
    stage_num integer NOT NULL,
    method_num integer NOT NULL,
    key_num integer NOT NULL,
    subscription_id bigint NOT NULL,
    status integer NOT NULL,
    flags integer NOT NULL,
    canary boolean NOT NULL,
    bytes_in bigint NOT NULL,
    bytes_out bigint NOT NULL,
    micros bigint NOT NULL,
    integration_micros bigint,
    kind text NOT NULL,
    step text NOT NULL,
    why text NOT NULL,
    verb text NOT NULL,
    path text NOT NULL,
    ip text NOT NULL,
    agent text NOT NULL,
    principal text NOT NULL,
    trace text NOT NULL
)
PARTITION BY RANGE (at);

ALTER TABLE ONLY public.call_log FORCE ROW LEVEL SECURITY;

CREATE TABLE public.call_log_default (
    tenant_id integer NOT NULL,
    at timestamp with time zone NOT NULL,
    request_id uuid NOT NULL,
    tx bigint DEFAULT ((pg_current_xact_id())::text)::bigint NOT NULL,
    stage_num integer NOT NULL,
    method_num integer NOT NULL,
    key_num integer NOT NULL,
    subscription_id bigint NOT NULL,
    status integer NOT NULL,
    flags integer NOT NULL,
    canary boolean NOT NULL,
    bytes_in bigint NOT NULL,
    bytes_out bigint NOT NULL,
    micros bigint NOT NULL,
    integration_micros bigint,
    kind text NOT NULL,
    step text NOT NULL,
    why text NOT NULL,
    verb text NOT NULL,
    path text NOT NULL,
    ip text NOT NULL,
    agent text NOT NULL,
    principal text NOT NULL,
    trace text NOT NULL
);

ALTER TABLE ONLY public.call_log_default FORCE ROW LEVEL SECURITY;

CREATE TABLE public.certificate (
    tenant_id integer NOT NULL,
    certificate_id text NOT NULL,
    kind text NOT NULL,
    name text NOT NULL,
    others text[] DEFAULT '{}'::text[] NOT NULL,
    owned boolean DEFAULT false NOT NULL,
    chain text,
    private_key bytea,
    not_before timestamp with time zone,
    not_after timestamp with time zone,
    message text DEFAULT ''::text NOT NULL,
    tried_at timestamp with time zone,
    tries integer DEFAULT 0 NOT NULL,
    created_at timestamp with time zone DEFAULT now() NOT NULL,
    issued_at timestamp with time zone,
    CONSTRAINT certificate_check CHECK (((chain IS NULL) = (private_key IS NULL))),
    CONSTRAINT certificate_kind_check CHECK ((kind = ANY (ARRAY['imported'::text, 'acme'::text])))
);

ALTER TABLE ONLY public.certificate FORCE ROW LEVEL SECURITY;

CREATE TABLE public.client_certificate (
    tenant_id integer NOT NULL,
    certificate_id text NOT NULL,
    description text NOT NULL,
    certificate text NOT NULL,
    private_key bytea NOT NULL,
    created_at timestamp with time zone DEFAULT now() NOT NULL,
    expires_at timestamp with time zone NOT NULL,
    CONSTRAINT client_certificate_description_check CHECK ((length(description) <= 1024))
);

ALTER TABLE ONLY public.client_certificate FORCE ROW LEVEL SECURITY;

CREATE TABLE public.collection (
    tenant_id integer NOT NULL,
    invoice_id text NOT NULL,
    state text NOT NULL,
    due_at timestamp with time zone NOT NULL,
    amount_due bigint NOT NULL,
    amount_paid bigint DEFAULT 0 NOT NULL,
    by text DEFAULT 'hand'::text NOT NULL,
    attempts integer DEFAULT 0 NOT NULL,
    last_error text DEFAULT ''::text NOT NULL,
    reminders integer DEFAULT 0 NOT NULL,
    updated_at timestamp with time zone DEFAULT now() NOT NULL,
    CONSTRAINT collection_amount_due_check CHECK ((amount_due >= 0)),
    CONSTRAINT collection_amount_paid_check CHECK ((amount_paid >= 0)),
    CONSTRAINT collection_by_check CHECK ((by = ANY (ARRAY['hand'::text, 'stripe'::text]))),
    CONSTRAINT collection_check CHECK (((state <> 'paid'::text) OR (amount_paid >= amount_due))),
    CONSTRAINT collection_check1 CHECK (((state <> ALL (ARRAY['open'::text, 'past_due'::text, 'uncollectible'::text])) OR (amount_paid < amount_due))),
    CONSTRAINT collection_check2 CHECK (((state <> 'void'::text) OR (amount_due = 0))),
    CONSTRAINT collection_state_check CHECK ((state = ANY (ARRAY['open'::text, 'past_due'::text, 'paid'::text, 'void'::text, 'uncollectible'::text])))
);

ALTER TABLE ONLY public.collection FORCE ROW LEVEL SECURITY;

CREATE TABLE public.coupon (
    tenant_id integer,
    coupon_id text NOT NULL,
    code text NOT NULL,
    percent text DEFAULT ''::text NOT NULL,
    amount text DEFAULT ''::text NOT NULL,
    currency text DEFAULT ''::text NOT NULL,
    months integer NOT NULL,
    plan_id text,
    most integer,
    expires_at timestamp with time zone,
    created_by text NOT NULL,
    created_at timestamp with time zone NOT NULL,
    withdrawn_at timestamp with time zone,
    CONSTRAINT coupon_check CHECK ((((percent = ''::text) <> (amount = ''::text)) AND ((amount = ''::text) = (currency = ''::text)))),
    CONSTRAINT coupon_code_check CHECK ((code ~ '^[A-Z0-9][A-Z0-9-]{2,39}$'::text)),
    CONSTRAINT coupon_currency_check CHECK ((currency ~ '^([A-Z]{3})?$'::text)),
    CONSTRAINT coupon_months_check CHECK ((months >= 0)),
    CONSTRAINT coupon_most_check CHECK ((most > 0))
);

ALTER TABLE ONLY public.coupon FORCE ROW LEVEL SECURITY;

CREATE TABLE public.coupon_use (
    tenant_id integer NOT NULL,
    use_id text NOT NULL,
    coupon_id text NOT NULL,
    developer_id text,
    code text NOT NULL,
    percent text NOT NULL,
    amount text NOT NULL,
    currency text NOT NULL,
    plan_id text,
    from_month timestamp with time zone NOT NULL,
    until_month timestamp with time zone,
    by text NOT NULL,
    used_at timestamp with time zone NOT NULL,
    CONSTRAINT coupon_use_check CHECK ((until_month >= from_month)),
    CONSTRAINT coupon_use_from_month_check CHECK ((from_month = date_trunc('month'::text, from_month, 'UTC'::text))),
    CONSTRAINT coupon_use_until_month_check CHECK ((until_month = date_trunc('month'::text, until_month, 'UTC'::text)))
);

ALTER TABLE ONLY public.coupon_use FORCE ROW LEVEL SECURITY;

CREATE TABLE public.credit_grant (
    tenant_id integer NOT NULL,
    grant_id text NOT NULL,
    serial bigint NOT NULL,
    wallet_id text NOT NULL,
    kind text NOT NULL,
    amount bigint NOT NULL,
    remaining bigint DEFAULT 0 NOT NULL,
    priority smallint NOT NULL,
    expires_at timestamp with time zone,
    invoice_id text,
    reason text DEFAULT ''::text NOT NULL,
    by text NOT NULL,
    created_at timestamp with time zone NOT NULL,
    CONSTRAINT credit_grant_amount_check CHECK ((amount > 0)),
    CONSTRAINT credit_grant_check CHECK (((remaining >= 0) AND (remaining <= amount))),
    CONSTRAINT credit_grant_check1 CHECK (((kind = 'paid'::text) = (invoice_id IS NOT NULL))),
    CONSTRAINT credit_grant_kind_check CHECK ((kind = ANY (ARRAY['paid'::text, 'granted'::text]))),
    CONSTRAINT credit_grant_priority_check CHECK (((priority >= 0) AND (priority <= 100)))
);

ALTER TABLE ONLY public.credit_grant FORCE ROW LEVEL SECURITY;

ALTER TABLE public.credit_grant ALTER COLUMN serial ADD GENERATED ALWAYS AS IDENTITY (
    SEQUENCE NAME public.credit_grant_serial_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1
);

CREATE TABLE public.credit_note (
    tenant_id integer NOT NULL,
    credit_note_id text NOT NULL,
    invoice_id text NOT NULL,
    adjustment_id text,
    kind text NOT NULL,
    series text NOT NULL,
    serial bigint NOT NULL,
    number text NOT NULL,
    reference text NOT NULL,
    reason text NOT NULL,
    lines jsonb NOT NULL,
    tax bigint NOT NULL,
    amount bigint NOT NULL,
    by text NOT NULL,
    created_at timestamp with time zone NOT NULL,
    CONSTRAINT credit_note_amount_check CHECK ((amount > 0)),
    CONSTRAINT credit_note_kind_check CHECK ((kind = ANY (ARRAY['credit'::text, 'void'::text, 'refund'::text, 'adjustment'::text]))),
    CONSTRAINT credit_note_reference_check CHECK ((reference <> ''::text)),
    CONSTRAINT credit_note_tax_check CHECK ((tax >= 0))
);

ALTER TABLE ONLY public.credit_note FORCE ROW LEVEL SECURITY;

CREATE TABLE public.deployment (
    tenant_id integer NOT NULL,
    deployment_id text NOT NULL,
    deployment_num bigint NOT NULL,
    api_id text NOT NULL,
    hash text NOT NULL,
    description text DEFAULT ''::text NOT NULL,
    definition jsonb NOT NULL,
    methods integer NOT NULL,
    created_by text NOT NULL,
    created_at timestamp with time zone DEFAULT now() NOT NULL,
    source_sha256 bytea
);
ALTER TABLE ONLY public.deployment ALTER COLUMN definition SET COMPRESSION lz4;

ALTER TABLE ONLY public.deployment FORCE ROW LEVEL SECURITY;

ALTER TABLE public.deployment ALTER COLUMN deployment_num ADD GENERATED ALWAYS AS IDENTITY (
    SEQUENCE NAME public.deployment_deployment_num_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1
);

CREATE TABLE public.developer (
    tenant_id integer NOT NULL,
    developer_id text NOT NULL,
    email text NOT NULL,
    name text DEFAULT ''::text NOT NULL,
    password_hash text NOT NULL,
    billing jsonb DEFAULT '{}'::jsonb NOT NULL,
    disabled boolean DEFAULT false NOT NULL,
    created_at timestamp with time zone DEFAULT now() NOT NULL,
    overdue_at timestamp with time zone
);

ALTER TABLE ONLY public.developer FORCE ROW LEVEL SECURITY;

CREATE TABLE public.dispute (
    tenant_id integer NOT NULL,
    dispute_id text NOT NULL,
    invoice_id text NOT NULL,
    amount bigint NOT NULL,
    reason text NOT NULL,
    state text NOT NULL,
    answer_by timestamp with time zone,
    at timestamp with time zone NOT NULL,
    updated_at timestamp with time zone NOT NULL,
    CONSTRAINT dispute_amount_check CHECK ((amount > 0)),
    CONSTRAINT dispute_state_check CHECK ((state = ANY (ARRAY['open'::text, 'won'::text, 'lost'::text])))
);

ALTER TABLE ONLY public.dispute FORCE ROW LEVEL SECURITY;

CREATE TABLE public.documentation_version (
    tenant_id integer NOT NULL,
    api_id text NOT NULL,
    version text NOT NULL,
    description text NOT NULL,
    parts jsonb NOT NULL,
    created_at timestamp with time zone DEFAULT now() NOT NULL,
    CONSTRAINT documentation_version_description_check CHECK ((length(description) <= 1024)),
    CONSTRAINT documentation_version_version_check CHECK (((length(version) >= 1) AND (length(version) <= 64)))
);

ALTER TABLE ONLY public.documentation_version FORCE ROW LEVEL SECURITY;

CREATE TABLE public.domain (
    tenant_id integer NOT NULL,
    domain_num integer NOT NULL,
    domain_id text NOT NULL,
    name text NOT NULL,
    certificate_id text,
    certificate_name text DEFAULT ''::text NOT NULL,
    settings jsonb NOT NULL,
    created_at timestamp with time zone DEFAULT now() NOT NULL,
    updated_at timestamp with time zone DEFAULT now() NOT NULL,
    private boolean DEFAULT false NOT NULL,
    key text GENERATED ALWAYS AS (
CASE
    WHEN private THEN ((name || '+'::text) || domain_id)
    ELSE name
END) STORED NOT NULL,
    public_name text GENERATED ALWAYS AS (
CASE
    WHEN private THEN NULL::text
    ELSE name
END) STORED,
    CONSTRAINT domain_certificate_name_check CHECK ((length(certificate_name) <= 256))
);

ALTER TABLE ONLY public.domain FORCE ROW LEVEL SECURITY;

CREATE TABLE public.feed_change (
    tenant_id integer NOT NULL,
    rev bigint NOT NULL,
    gateway_id integer NOT NULL,
    kind text NOT NULL,
    first_num bigint NOT NULL,
    last_num bigint NOT NULL,
    at timestamp with time zone DEFAULT now() NOT NULL,
    CONSTRAINT feed_change_kind_check CHECK ((kind = ANY (ARRAY['tenant'::text, 'stage'::text, 'plan'::text, 'key'::text, 'domain'::text, 'credential'::text, 'signer'::text])))
);

ALTER TABLE ONLY public.feed_change FORCE ROW LEVEL SECURITY;

CREATE TABLE public.feed_head (
    one boolean DEFAULT true NOT NULL,
    rev bigint NOT NULL,
    pruned bigint NOT NULL,
    signer_day date DEFAULT '1970-01-01'::date NOT NULL,
    CONSTRAINT feed_head_one_check CHECK (one)
);

CREATE TABLE public.feed_revision (
    rev bigint NOT NULL,
    stamp uuid DEFAULT gen_random_uuid() NOT NULL
);

CREATE TABLE public.gateway (
    gateway_id integer NOT NULL,
    name text NOT NULL,
    kind text NOT NULL,
    tenant_id integer,
    created_at timestamp with time zone DEFAULT now() NOT NULL,
    url text,
    run_addr text,
    run_tls_addr text,
    CONSTRAINT gateway_check CHECK (((kind = 'dedicated'::text) = (tenant_id IS NOT NULL))),
    CONSTRAINT gateway_first CHECK (((gateway_id <> 1) OR ((url IS NULL) AND (run_addr IS NULL)))),
    CONSTRAINT gateway_kind_check CHECK ((kind = ANY (ARRAY['shared'::text, 'dedicated'::text]))),
    CONSTRAINT gateway_name_check CHECK ((name ~ '^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$'::text)),
    CONSTRAINT gateway_run CHECK (((run_addr IS NOT NULL) OR (run_tls_addr IS NULL)))
);

ALTER TABLE public.gateway ALTER COLUMN gateway_id ADD GENERATED ALWAYS AS IDENTITY (
    SEQUENCE NAME public.gateway_gateway_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1
);

CREATE TABLE public.installation (
    one boolean DEFAULT true NOT NULL,
    sign_up text DEFAULT 'open'::text NOT NULL,
    smtp jsonb DEFAULT '{}'::jsonb NOT NULL,
    smtp_password bytea,
    seller jsonb DEFAULT '{}'::jsonb NOT NULL,
    updated_at timestamp with time zone DEFAULT now() NOT NULL,
    billing_rules jsonb DEFAULT '{}'::jsonb NOT NULL,
    CONSTRAINT installation_one_check CHECK (one),
    CONSTRAINT installation_sign_up_check CHECK ((sign_up = ANY (ARRAY['open'::text, 'invitation'::text])))
);

CREATE TABLE public.invoice (
    tenant_id integer NOT NULL,
    invoice_id text NOT NULL,
    seller text NOT NULL,
    developer_id text,
    period_start timestamp with time zone NOT NULL,
    period_end timestamp with time zone NOT NULL,
    state text NOT NULL,
    series text NOT NULL,
    serial bigint,
    number text,
    currency text NOT NULL,
    total bigint NOT NULL,
    from_party jsonb NOT NULL,
    to_party jsonb NOT NULL,
    cut integer,
    created_at timestamp with time zone DEFAULT now() NOT NULL,
    finalized_at timestamp with time zone,
    kind text DEFAULT 'invoice'::text NOT NULL,
    tax bigint DEFAULT 0 NOT NULL,
    taxes jsonb DEFAULT '[]'::jsonb NOT NULL,
    CONSTRAINT invoice_check CHECK (((seller = 'tenant'::text) = (developer_id IS NOT NULL))),
    CONSTRAINT invoice_check1 CHECK (((state = 'final'::text) = ((serial IS NOT NULL) AND (number IS NOT NULL) AND (cut IS NOT NULL) AND (finalized_at IS NOT NULL)))),
    CONSTRAINT invoice_currency_check CHECK ((currency ~ '^[A-Z]{3}$'::text)),
    CONSTRAINT invoice_kind_check CHECK ((kind = ANY (ARRAY['invoice'::text, 'adjustment'::text, 'top-up'::text]))),
    CONSTRAINT invoice_seller_check CHECK ((seller = ANY (ARRAY['operator'::text, 'tenant'::text]))),
    CONSTRAINT invoice_state_check CHECK ((state = ANY (ARRAY['draft'::text, 'final'::text])))
);

ALTER TABLE ONLY public.invoice FORCE ROW LEVEL SECURITY;

CREATE TABLE public.invoice_line (
    tenant_id integer NOT NULL,
    invoice_id text NOT NULL,
    line integer NOT NULL,
    subscription_id bigint NOT NULL,
    sheet_num integer,
    meter text NOT NULL,
    title text NOT NULL,
    quantity numeric(38,0) NOT NULL,
    steps jsonb NOT NULL,
    exact numeric(38,12) NOT NULL,
    invoiced bigint NOT NULL,
    amount bigint NOT NULL,
    tax bigint DEFAULT 0 NOT NULL,
    use_id text,
    CONSTRAINT invoice_line_meter_check CHECK (((meter = ANY (ARRAY['fee'::text, 'calls'::text, 'bytes-out'::text, 'minimum'::text, 'maximum'::text, 'discount'::text, 'coupon'::text, 'top-up'::text, 'domain-months'::text])) OR (meter ~~ 'cache-hours-%'::text))),
    CONSTRAINT invoice_line_sheet_check CHECK (((sheet_num IS NULL) = ((use_id IS NOT NULL) OR (meter = 'top-up'::text))))
);

ALTER TABLE ONLY public.invoice_line FORCE ROW LEVEL SECURITY;

CREATE TABLE public.invoice_series (
    series text NOT NULL,
    next bigint NOT NULL,
    CONSTRAINT invoice_series_next_check CHECK ((next > 0))
);

CREATE TABLE public.ledger_entry (
    tenant_id integer NOT NULL,
    transaction_id bigint NOT NULL,
    line integer NOT NULL,
    wallet_id text NOT NULL,
    account text NOT NULL,
    grant_id text,
    amount bigint NOT NULL,
    CONSTRAINT ledger_entry_account_check CHECK ((account = ANY (ARRAY['credit'::text, 'owed'::text, 'paid-in'::text, 'granted'::text, 'spent'::text, 'expired'::text]))),
    CONSTRAINT ledger_entry_amount_check CHECK ((amount <> 0)),
    CONSTRAINT ledger_entry_check CHECK (((account = 'credit'::text) = (grant_id IS NOT NULL)))
);

ALTER TABLE ONLY public.ledger_entry FORCE ROW LEVEL SECURITY;

CREATE TABLE public.ledger_transaction (
    tenant_id integer NOT NULL,
    transaction_id bigint NOT NULL,
    wallet_id text NOT NULL,
    kind text NOT NULL,
    reference text NOT NULL,
    invoice_id text,
    note text DEFAULT ''::text NOT NULL,
    by text NOT NULL,
    at timestamp with time zone NOT NULL,
    CONSTRAINT ledger_transaction_kind_check CHECK ((kind = ANY (ARRAY['top-up'::text, 'take-back'::text, 'grant'::text, 'revoke'::text, 'spend'::text, 'give-back'::text, 'expire'::text]))),
    CONSTRAINT ledger_transaction_reference_check CHECK ((reference <> ''::text))
);

ALTER TABLE ONLY public.ledger_transaction FORCE ROW LEVEL SECURITY;

ALTER TABLE public.ledger_transaction ALTER COLUMN transaction_id ADD GENERATED ALWAYS AS IDENTITY (
    SEQUENCE NAME public.ledger_transaction_transaction_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1
);

CREATE UNLOGGED TABLE public.link_target (
    tenant_id integer NOT NULL,
    link_id text NOT NULL,
    target text NOT NULL,
    gateway_id integer NOT NULL,
    node text NOT NULL,
    boot text NOT NULL,
    up boolean NOT NULL,
    since timestamp with time zone NOT NULL,
    reason text NOT NULL,
    CONSTRAINT link_target_reason_check CHECK ((length(reason) <= 500)),
    CONSTRAINT link_target_target_check CHECK ((length(target) <= 300))
);

ALTER TABLE ONLY public.link_target FORCE ROW LEVEL SECURITY;

CREATE TABLE public.mail (
    mail_id bigint NOT NULL,
    tenant_id integer,
    recipient text NOT NULL,
    purpose text NOT NULL,
    sealed bytea,
    created_at timestamp with time zone DEFAULT now() NOT NULL,
    sent_at timestamp with time zone,
    attempts integer DEFAULT 0 NOT NULL,
    problem text DEFAULT ''::text NOT NULL
);

ALTER TABLE ONLY public.mail FORCE ROW LEVEL SECURITY;

ALTER TABLE public.mail ALTER COLUMN mail_id ADD GENERATED ALWAYS AS IDENTITY (
    SEQUENCE NAME public.mail_mail_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1
);

CREATE TABLE public.member (
    tenant_id integer NOT NULL,
    member_id text NOT NULL,
    role text NOT NULL,
    created_at timestamp with time zone DEFAULT now() NOT NULL,
    person_id text NOT NULL,
    CONSTRAINT member_role_check CHECK ((role = ANY (ARRAY['owner'::text, 'admin'::text, 'developer'::text, 'billing'::text, 'viewer'::text])))
);

ALTER TABLE ONLY public.member FORCE ROW LEVEL SECURITY;

CREATE TABLE public.node (
    gateway_id integer NOT NULL,
    name text NOT NULL,
    boot text NOT NULL,
    visit bigint DEFAULT 1 NOT NULL,
    connected boolean DEFAULT true NOT NULL,
    applied_rev bigint NOT NULL,
    failures jsonb DEFAULT '[]'::jsonb NOT NULL,
    draining boolean DEFAULT false NOT NULL,
    seen_at timestamp with time zone DEFAULT now() NOT NULL
);

CREATE UNLOGGED TABLE public.node_demand (
    gateway_id integer NOT NULL,
    boot text NOT NULL,
    at timestamp with time zone DEFAULT now() NOT NULL,
    buckets bigint[] NOT NULL,
    demands real[] NOT NULL,
    CONSTRAINT node_demand_check CHECK ((cardinality(buckets) = cardinality(demands)))
);

CREATE TABLE public.node_token (
    token_hash bytea NOT NULL,
    gateway_id integer NOT NULL,
    node text NOT NULL,
    created_at timestamp with time zone DEFAULT now() NOT NULL
);

CREATE TABLE public.operator (
    operator_id text NOT NULL,
    email text NOT NULL,
    name text DEFAULT ''::text NOT NULL,
    password_hash text NOT NULL,
    created_at timestamp with time zone DEFAULT now() NOT NULL
);

CREATE TABLE public.owned_name (
    tenant_id integer NOT NULL,
    domain_num integer NOT NULL,
    name text NOT NULL,
    verified_at timestamp with time zone,
    claimed_at timestamp with time zone DEFAULT now() NOT NULL,
    checked_at timestamp with time zone,
    message text DEFAULT ''::text NOT NULL,
    CONSTRAINT owned_name_name_check CHECK ((((length(name) >= 1) AND (length(name) <= 253)) AND (name = lower(name))))
);

ALTER TABLE ONLY public.owned_name FORCE ROW LEVEL SECURITY;

ALTER TABLE public.owned_name ALTER COLUMN domain_num ADD GENERATED ALWAYS AS IDENTITY (
    SEQUENCE NAME public.owned_name_domain_num_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1
);

CREATE TABLE public.payment (
    tenant_id integer NOT NULL,
    payment_id text NOT NULL,
    invoice_id text NOT NULL,
    amount bigint NOT NULL,
    kind text NOT NULL,
    reference text NOT NULL,
    note text DEFAULT ''::text NOT NULL,
    at timestamp with time zone NOT NULL,
    by text NOT NULL,
    created_at timestamp with time zone DEFAULT now() NOT NULL,
    CONSTRAINT payment_check CHECK (
CASE kind
    WHEN 'refund'::text THEN (amount < 0)
    WHEN 'failed'::text THEN (amount = 0)
    WHEN 'wallet'::text THEN (amount <> 0)
    ELSE (amount > 0)
END),
    CONSTRAINT payment_kind_check CHECK ((kind = ANY (ARRAY['hand'::text, 'stripe'::text, 'wallet'::text, 'refund'::text, 'failed'::text]))),
    CONSTRAINT payment_reference_check CHECK ((reference <> ''::text))
);

ALTER TABLE ONLY public.payment FORCE ROW LEVEL SECURITY;

CREATE TABLE public.period_close (
    tenant_id integer NOT NULL,
    period_start timestamp with time zone NOT NULL,
    gen integer NOT NULL,
    closed_at timestamp with time zone DEFAULT now() NOT NULL,
    CONSTRAINT period_close_gen_check CHECK ((gen > 0)),
    CONSTRAINT period_close_period_start_check CHECK ((period_start = date_trunc('month'::text, period_start, 'UTC'::text)))
);

ALTER TABLE ONLY public.period_close FORCE ROW LEVEL SECURITY;

CREATE TABLE public.person (
    person_id text NOT NULL,
    email text NOT NULL,
    name text DEFAULT ''::text NOT NULL,
    password_hash text NOT NULL,
    created_at timestamp with time zone DEFAULT now() NOT NULL
);

CREATE TABLE public.plan (
    tenant_id integer NOT NULL,
    plan_id text NOT NULL,
    plan_num integer NOT NULL,
    name text NOT NULL,
    description text DEFAULT ''::text NOT NULL,
    throttle jsonb,
    quota_limit bigint,
    quota_period text,
    quota_offset integer,
    created_at timestamp with time zone DEFAULT now() NOT NULL,
    updated_at timestamp with time zone DEFAULT now() NOT NULL,
    deleted_at timestamp with time zone,
    sheet_num integer,
    published boolean DEFAULT false NOT NULL,
    product_code text DEFAULT ''::text NOT NULL,
    unpaid text DEFAULT ''::text NOT NULL,
    hard boolean DEFAULT false NOT NULL,
    fail_open boolean DEFAULT false NOT NULL,
    soft_quota boolean DEFAULT false NOT NULL,
    spend_cap numeric(24,12),
    spend_max numeric(24,12),
    prepaid boolean DEFAULT false NOT NULL,
    CONSTRAINT plan_check CHECK ((((quota_limit IS NULL) = (quota_period IS NULL)) AND ((quota_limit IS NULL) = (quota_offset IS NULL)))),
    CONSTRAINT plan_fail_open CHECK ((hard OR (NOT fail_open))),
    CONSTRAINT plan_quota_period_check CHECK ((quota_period = ANY (ARRAY['DAY'::text, 'WEEK'::text, 'MONTH'::text]))),
    CONSTRAINT plan_spend_cap_check CHECK ((spend_cap > (0)::numeric)),
    CONSTRAINT plan_spend_check CHECK ((spend_cap <= spend_max)),
    CONSTRAINT plan_spend_max_check CHECK ((spend_max > (0)::numeric)),
    CONSTRAINT plan_unpaid_check CHECK ((unpaid = ANY (ARRAY[''::text, 'keep'::text, 'suspend'::text])))
);

ALTER TABLE ONLY public.plan FORCE ROW LEVEL SECURITY;

CREATE TABLE public.plan_change (
    tenant_id integer NOT NULL,
    subscription_id bigint NOT NULL,
    plan_id text NOT NULL,
    terms integer NOT NULL,
    at timestamp with time zone NOT NULL,
    asked_by text NOT NULL,
    asked_at timestamp with time zone DEFAULT now() NOT NULL,
    problem text DEFAULT ''::text NOT NULL
);

ALTER TABLE ONLY public.plan_change FORCE ROW LEVEL SECURITY;

ALTER TABLE public.plan ALTER COLUMN plan_num ADD GENERATED ALWAYS AS IDENTITY (
    SEQUENCE NAME public.plan_plan_num_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1
);

CREATE TABLE public.plan_stage (
    tenant_id integer NOT NULL,
    plan_id text NOT NULL,
    stage_num integer NOT NULL,
    throttle jsonb
);

ALTER TABLE ONLY public.plan_stage FORCE ROW LEVEL SECURITY;

CREATE TABLE public.portal (
    tenant_id integer NOT NULL,
    slug text NOT NULL,
    title text NOT NULL,
    tagline text DEFAULT ''::text NOT NULL,
    accent text DEFAULT ''::text NOT NULL,
    support_email text DEFAULT ''::text NOT NULL,
    sign_up text DEFAULT 'open'::text NOT NULL,
    published boolean DEFAULT false NOT NULL,
    created_at timestamp with time zone DEFAULT now() NOT NULL,
    updated_at timestamp with time zone DEFAULT now() NOT NULL,
    CONSTRAINT portal_accent_check CHECK ((accent ~ '^(#[0-9a-fA-F]{6})?$'::text)),
    CONSTRAINT portal_sign_up_check CHECK ((sign_up = ANY (ARRAY['open'::text, 'closed'::text]))),
    CONSTRAINT portal_slug_check CHECK ((slug ~ '^[a-z0-9]([a-z0-9-]{0,38}[a-z0-9])?$'::text))
);

ALTER TABLE ONLY public.portal FORCE ROW LEVEL SECURITY;

CREATE TABLE public.portal_api (
    tenant_id integer NOT NULL,
    api_id text NOT NULL,
    stage_num integer NOT NULL,
    summary text DEFAULT ''::text NOT NULL,
    published_at timestamp with time zone DEFAULT now() NOT NULL
);

ALTER TABLE ONLY public.portal_api FORCE ROW LEVEL SECURITY;

CREATE TABLE public.price_change (
    tenant_id integer NOT NULL,
    plan_id text NOT NULL,
    sheet_num integer NOT NULL,
    at timestamp with time zone NOT NULL,
    move boolean NOT NULL,
    asked_by text NOT NULL,
    asked_at timestamp with time zone DEFAULT now() NOT NULL,
    told_at timestamp with time zone,
    CONSTRAINT price_change_at_check CHECK ((at = date_trunc('day'::text, at, 'UTC'::text)))
);

ALTER TABLE ONLY public.price_change FORCE ROW LEVEL SECURITY;

CREATE TABLE public.price_sheet (
    sheet_num integer NOT NULL,
    tenant_id integer,
    plan_id text,
    version integer NOT NULL,
    sheet jsonb NOT NULL,
    from_month date,
    created_by text NOT NULL,
    created_at timestamp with time zone DEFAULT now() NOT NULL,
    CONSTRAINT price_sheet_check CHECK ((((tenant_id IS NULL) = (plan_id IS NULL)) AND ((tenant_id IS NULL) = (from_month IS NOT NULL)))),
    CONSTRAINT price_sheet_version_check CHECK ((version > 0))
);

ALTER TABLE ONLY public.price_sheet FORCE ROW LEVEL SECURITY;

ALTER TABLE public.price_sheet ALTER COLUMN sheet_num ADD GENERATED ALWAYS AS IDENTITY (
    SEQUENCE NAME public.price_sheet_sheet_num_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1
);

CREATE TABLE public.psp_object (
    tenant_id integer NOT NULL,
    account text NOT NULL,
    kind text NOT NULL,
    local_id text NOT NULL,
    remote_id text,
    rev integer DEFAULT 1 NOT NULL,
    request_hash text DEFAULT ''::text NOT NULL,
    spent boolean DEFAULT false NOT NULL,
    asked_at timestamp with time zone,
    head text,
    state text DEFAULT ''::text NOT NULL,
    url text DEFAULT ''::text NOT NULL,
    problem text DEFAULT ''::text NOT NULL,
    created_at timestamp with time zone DEFAULT now() NOT NULL,
    updated_at timestamp with time zone DEFAULT now() NOT NULL,
    CONSTRAINT psp_object_kind_check CHECK ((kind = ANY (ARRAY['account'::text, 'customer'::text, 'invoice'::text, 'credit_note'::text]))),
    CONSTRAINT psp_object_rev_check CHECK ((rev > 0))
);

ALTER TABLE ONLY public.psp_object FORCE ROW LEVEL SECURITY;

CREATE TABLE public.quota_lease (
    tenant_id integer NOT NULL,
    subscription_id bigint NOT NULL,
    window_start timestamp with time zone NOT NULL,
    boot text NOT NULL,
    gateway_id integer NOT NULL,
    granted bigint DEFAULT 0 NOT NULL,
    returned bigint DEFAULT 0 NOT NULL,
    updated_at timestamp with time zone DEFAULT now() NOT NULL,
    held bigint DEFAULT 0 NOT NULL,
    used bigint DEFAULT 0,
    recalled_at timestamp with time zone,
    settled_at timestamp with time zone,
    kind smallint DEFAULT 0 NOT NULL,
    taken bigint DEFAULT 0 NOT NULL,
    CONSTRAINT quota_lease_check CHECK (((returned >= 0) AND (returned <= granted))),
    CONSTRAINT quota_lease_held_check CHECK ((held >= 0)),
    CONSTRAINT quota_lease_taken_check CHECK ((taken >= 0)),
    CONSTRAINT quota_lease_used_check CHECK ((used >= 0))
);

ALTER TABLE ONLY public.quota_lease FORCE ROW LEVEL SECURITY;

CREATE TABLE public.quota_window (
    tenant_id integer NOT NULL,
    subscription_id bigint NOT NULL,
    window_start timestamp with time zone NOT NULL,
    granted bigint DEFAULT 0 NOT NULL,
    extension bigint DEFAULT 0 NOT NULL,
    kind smallint DEFAULT 0 NOT NULL,
    most bigint,
    money bigint,
    computed_at timestamp with time zone,
    CONSTRAINT quota_window_granted_check CHECK ((granted >= 0)),
    CONSTRAINT quota_window_kind_check CHECK ((kind = ANY (ARRAY[0, 1]))),
    CONSTRAINT quota_window_most_check CHECK ((most >= 0))
);

ALTER TABLE ONLY public.quota_window FORCE ROW LEVEL SECURITY;

CREATE TABLE public.resource_interval (
    tenant_id integer NOT NULL,
    kind text NOT NULL,
    resource text NOT NULL,
    size text NOT NULL,
    valid_from timestamp with time zone NOT NULL,
    valid_to timestamp with time zone,
    CONSTRAINT resource_interval_check CHECK ((valid_to > valid_from)),
    CONSTRAINT resource_interval_kind_check CHECK ((kind = ANY (ARRAY['cache'::text, 'domain'::text])))
);

ALTER TABLE ONLY public.resource_interval FORCE ROW LEVEL SECURITY;

CREATE TABLE public.river_job (
    id bigint NOT NULL,
    state public.river_job_state DEFAULT 'available'::public.river_job_state NOT NULL,
    attempt smallint DEFAULT 0 NOT NULL,
    max_attempts smallint DEFAULT 25 NOT NULL,
    attempted_at timestamp with time zone,
    created_at timestamp with time zone DEFAULT now() NOT NULL,
    finalized_at timestamp with time zone,
    scheduled_at timestamp with time zone DEFAULT now() NOT NULL,
    priority smallint DEFAULT 1 NOT NULL,
    args jsonb NOT NULL,
    attempted_by text[],
    errors jsonb[],
    kind text NOT NULL,
    metadata jsonb DEFAULT '{}'::jsonb NOT NULL,
    queue text DEFAULT 'default'::text NOT NULL,
    tags character varying(255)[] DEFAULT '{}'::character varying[] NOT NULL,
    unique_key bytea,
    unique_states bit(8),
    CONSTRAINT finalized_or_finalized_at_null CHECK ((((finalized_at IS NULL) AND (state <> ALL (ARRAY['cancelled'::public.river_job_state, 'completed'::public.river_job_state, 'discarded'::public.river_job_state]))) OR ((finalized_at IS NOT NULL) AND (state = ANY (ARRAY['cancelled'::public.river_job_state, 'completed'::public.river_job_state, 'discarded'::public.river_job_state]))))),
    CONSTRAINT kind_length CHECK (((char_length(kind) > 0) AND (char_length(kind) < 128))),
    CONSTRAINT max_attempts_is_positive CHECK ((max_attempts > 0)),
    CONSTRAINT priority_in_range CHECK (((priority >= 1) AND (priority <= 4))),
    CONSTRAINT queue_length CHECK (((char_length(queue) > 0) AND (char_length(queue) < 128)))
);

CREATE SEQUENCE public.river_job_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1;

ALTER SEQUENCE public.river_job_id_seq OWNED BY public.river_job.id;

CREATE UNLOGGED TABLE public.river_leader (
    elected_at timestamp with time zone NOT NULL,
    expires_at timestamp with time zone NOT NULL,
    leader_id text NOT NULL,
    name text DEFAULT 'default'::text NOT NULL,
    CONSTRAINT leader_id_length CHECK (((char_length(leader_id) > 0) AND (char_length(leader_id) < 128))),
    CONSTRAINT name_length CHECK ((name = 'default'::text))
);

CREATE TABLE public.river_migration (
    line text NOT NULL,
    version bigint NOT NULL,
    created_at timestamp with time zone DEFAULT now() NOT NULL,
    CONSTRAINT line_length CHECK (((char_length(line) > 0) AND (char_length(line) < 128))),
    CONSTRAINT version_gte_1 CHECK ((version >= 1))
);

CREATE TABLE public.river_notification (
    id bigint NOT NULL,
    created_at timestamp with time zone DEFAULT now() NOT NULL,
    payload text NOT NULL,
    topic text NOT NULL,
    CONSTRAINT topic_length CHECK (((length(topic) > 0) AND (length(topic) < 128)))
);

CREATE SEQUENCE public.river_notification_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1;

ALTER SEQUENCE public.river_notification_id_seq OWNED BY public.river_notification.id;

CREATE TABLE public.river_queue (
    name text NOT NULL,
    created_at timestamp with time zone DEFAULT now() NOT NULL,
    metadata jsonb DEFAULT '{}'::jsonb NOT NULL,
    paused_at timestamp with time zone,
    updated_at timestamp with time zone DEFAULT CURRENT_TIMESTAMP NOT NULL
);

CREATE TABLE public.routing_rule (
    tenant_id integer NOT NULL,
    domain_num integer NOT NULL,
    rule_id text NOT NULL,
    priority integer NOT NULL,
    rule jsonb NOT NULL,
    api_id text NOT NULL,
    CONSTRAINT routing_rule_priority_check CHECK (((priority >= 1) AND (priority <= 1000000)))
);

ALTER TABLE ONLY public.routing_rule FORCE ROW LEVEL SECURITY;

CREATE TABLE public.schema_migrations (
    version bigint NOT NULL,
    dirty boolean NOT NULL
);

CREATE TABLE public.service_credential (
    tenant_id integer NOT NULL,
    credential_num integer NOT NULL,
    name text NOT NULL,
    access_key_id text NOT NULL,
    secret bytea,
    session boolean NOT NULL,
    services text[] DEFAULT '{}'::text[] NOT NULL,
    regions text[] DEFAULT '{}'::text[] NOT NULL,
    created_at timestamp with time zone DEFAULT now() NOT NULL,
    updated_at timestamp with time zone DEFAULT now() NOT NULL,
    deleted_at timestamp with time zone,
    CONSTRAINT service_credential_check CHECK (((secret IS NULL) = (deleted_at IS NOT NULL))),
    CONSTRAINT service_credential_name_check CHECK (((length(name) >= 1) AND (length(name) <= 700)))
);

ALTER TABLE ONLY public.service_credential FORCE ROW LEVEL SECURITY;

ALTER TABLE public.service_credential ALTER COLUMN credential_num ADD GENERATED ALWAYS AS IDENTITY (
    SEQUENCE NAME public.service_credential_credential_num_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1
);

CREATE TABLE public.session (
    id_hash bytea NOT NULL,
    realm text NOT NULL,
    subject text NOT NULL,
    tenant_id integer,
    data jsonb DEFAULT '{}'::jsonb NOT NULL,
    created_at timestamp with time zone DEFAULT now() NOT NULL,
    seen_at timestamp with time zone DEFAULT now() NOT NULL,
    expires_at timestamp with time zone NOT NULL,
    CONSTRAINT session_id_hash_check CHECK ((length(id_hash) = 32)),
    CONSTRAINT session_realm_check CHECK ((realm = ANY (ARRAY['console'::text, 'operator'::text, 'portal'::text])))
);

ALTER TABLE ONLY public.session FORCE ROW LEVEL SECURITY;

CREATE TABLE public.spend_alert (
    tenant_id integer NOT NULL,
    developer_id text DEFAULT ''::text NOT NULL,
    subscription_id bigint DEFAULT 0 NOT NULL,
    month timestamp with time zone NOT NULL,
    percent integer NOT NULL,
    spent bigint NOT NULL,
    sent_at timestamp with time zone DEFAULT now() NOT NULL,
    CONSTRAINT spend_alert_percent_check CHECK ((percent = ANY (ARRAY[50, 75, 100])))
);

ALTER TABLE ONLY public.spend_alert FORCE ROW LEVEL SECURITY;

CREATE TABLE public.spend_limit (
    tenant_id integer NOT NULL,
    subscription_id bigint NOT NULL,
    cap numeric(24,12),
    alert numeric(24,12),
    updated_at timestamp with time zone DEFAULT now() NOT NULL,
    CONSTRAINT spend_limit_alert_check CHECK ((alert > (0)::numeric)),
    CONSTRAINT spend_limit_cap_check CHECK ((cap > (0)::numeric))
);

ALTER TABLE ONLY public.spend_limit FORCE ROW LEVEL SECURITY;

CREATE TABLE public.stage (
    tenant_id integer NOT NULL,
    stage_num integer NOT NULL,
    api_id text NOT NULL,
    name text NOT NULL,
    deployment_id text,
    throttle jsonb,
    created_at timestamp with time zone DEFAULT now() NOT NULL,
    updated_at timestamp with time zone DEFAULT now() NOT NULL,
    deleted_at timestamp with time zone,
    settings jsonb DEFAULT '{}'::jsonb NOT NULL,
    canary_deployment_id text GENERATED ALWAYS AS ((settings #>> '{canarySettings,deploymentId}'::text[])) STORED,
    CONSTRAINT stage_check CHECK (((deployment_id IS NULL) = (deleted_at IS NOT NULL))),
    CONSTRAINT stage_name_check CHECK ((name ~ '^[a-zA-Z0-9_-]{1,128}$'::text))
);

ALTER TABLE ONLY public.stage FORCE ROW LEVEL SECURITY;

CREATE TABLE public.stage_deployment (
    tenant_id integer NOT NULL,
    stage_num integer NOT NULL,
    deployment_id text NOT NULL,
    first_at timestamp with time zone DEFAULT now() NOT NULL
);

ALTER TABLE ONLY public.stage_deployment FORCE ROW LEVEL SECURITY;

ALTER TABLE public.stage ALTER COLUMN stage_num ADD GENERATED ALWAYS AS IDENTITY (
    SEQUENCE NAME public.stage_stage_num_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1
);

CREATE TABLE public.stripe_account (
    tenant_id integer NOT NULL,
    account text NOT NULL,
    charges_enabled boolean DEFAULT false NOT NULL,
    payouts_enabled boolean DEFAULT false NOT NULL,
    details_submitted boolean DEFAULT false NOT NULL,
    due integer DEFAULT 0 NOT NULL,
    disabled_reason text DEFAULT ''::text NOT NULL,
    disconnected_at timestamp with time zone,
    seen bigint DEFAULT 0 NOT NULL,
    created_at timestamp with time zone DEFAULT now() NOT NULL,
    updated_at timestamp with time zone DEFAULT now() NOT NULL
);

ALTER TABLE ONLY public.stripe_account FORCE ROW LEVEL SECURITY;

CREATE TABLE public.stripe_cursor (
    account text NOT NULL,
    tenant_id integer,
    swept_to timestamp with time zone NOT NULL
);

ALTER TABLE ONLY public.stripe_cursor FORCE ROW LEVEL SECURITY;

CREATE TABLE public.stripe_customer (
    tenant_id integer NOT NULL,
    account text NOT NULL,
    developer_id text,
    customer text NOT NULL,
    method text DEFAULT ''::text NOT NULL,
    brand text DEFAULT ''::text NOT NULL,
    last4 text DEFAULT ''::text NOT NULL,
    exp_month integer DEFAULT 0 NOT NULL,
    exp_year integer DEFAULT 0 NOT NULL,
    seen bigint DEFAULT 0 NOT NULL,
    updated_at timestamp with time zone DEFAULT now() NOT NULL,
    CONSTRAINT stripe_customer_check CHECK (((account = ''::text) = (developer_id IS NULL))),
    CONSTRAINT stripe_customer_last4_check CHECK ((length(last4) <= 4))
);

ALTER TABLE ONLY public.stripe_customer FORCE ROW LEVEL SECURITY;

CREATE TABLE public.stripe_hour (
    tenant_id integer NOT NULL,
    account text NOT NULL,
    customer text NOT NULL,
    meter text NOT NULL,
    hour timestamp with time zone NOT NULL,
    value bigint NOT NULL,
    version integer DEFAULT 1 NOT NULL,
    asked_at timestamp with time zone,
    sent_at timestamp with time zone,
    compared_at timestamp with time zone,
    found bigint,
    problem text DEFAULT ''::text NOT NULL,
    changed_at timestamp with time zone DEFAULT now() NOT NULL,
    CONSTRAINT stripe_hour_value_check CHECK ((value >= 0)),
    CONSTRAINT stripe_hour_version_check CHECK ((version > 0))
);

ALTER TABLE ONLY public.stripe_hour FORCE ROW LEVEL SECURITY;

CREATE TABLE public.stripe_meter (
    account text NOT NULL,
    meter text NOT NULL,
    tenant_id integer,
    rev integer DEFAULT 1 NOT NULL,
    problem text DEFAULT ''::text NOT NULL,
    planned_at timestamp with time zone,
    updated_at timestamp with time zone DEFAULT now() NOT NULL,
    CONSTRAINT stripe_meter_rev_check CHECK ((rev > 0))
);

ALTER TABLE ONLY public.stripe_meter FORCE ROW LEVEL SECURITY;

CREATE TABLE public.subscription (
    tenant_id integer NOT NULL,
    subscription_id bigint NOT NULL,
    plan_id text NOT NULL,
    terms integer DEFAULT 0 NOT NULL,
    started_at timestamp with time zone DEFAULT now() NOT NULL,
    ended_at timestamp with time zone,
    app_id text,
    origin_id bigint,
    ledger_id bigint GENERATED ALWAYS AS (COALESCE(origin_id, subscription_id)) STORED,
    follows_id bigint,
    first_at timestamp with time zone,
    whole_fee boolean DEFAULT false NOT NULL
);

ALTER TABLE ONLY public.subscription FORCE ROW LEVEL SECURITY;

CREATE TABLE public.subscription_key (
    tenant_id integer NOT NULL,
    subscription_id bigint NOT NULL,
    key_num integer NOT NULL,
    added_at timestamp with time zone DEFAULT now() NOT NULL
);

ALTER TABLE ONLY public.subscription_key FORCE ROW LEVEL SECURITY;

ALTER TABLE public.subscription ALTER COLUMN subscription_id ADD GENERATED ALWAYS AS IDENTITY (
    SEQUENCE NAME public.subscription_subscription_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1
);

CREATE TABLE public.tag (
    tenant_id integer NOT NULL,
    resource text NOT NULL,
    tags jsonb NOT NULL,
    CONSTRAINT tag_resource_check CHECK ((length(resource) <= 1024))
);

ALTER TABLE ONLY public.tag FORCE ROW LEVEL SECURITY;

CREATE TABLE public.tax_quote (
    tenant_id integer NOT NULL,
    hash text NOT NULL,
    question jsonb NOT NULL,
    taxes jsonb,
    problem text DEFAULT ''::text NOT NULL,
    asked_at timestamp with time zone NOT NULL
);

ALTER TABLE ONLY public.tax_quote FORCE ROW LEVEL SECURITY;

CREATE TABLE public.tenant (
    tenant_id integer NOT NULL,
    account_id text NOT NULL,
    name text NOT NULL,
    email text NOT NULL,
    gateway_id integer NOT NULL,
    suspended boolean DEFAULT false NOT NULL,
    caps jsonb DEFAULT '{}'::jsonb NOT NULL,
    created_at timestamp with time zone DEFAULT now() NOT NULL,
    seller jsonb DEFAULT '{}'::jsonb NOT NULL,
    suspended_at timestamp with time zone,
    suspended_reason text DEFAULT ''::text NOT NULL,
    billing_rules jsonb DEFAULT '{}'::jsonb NOT NULL,
    spend_alert numeric(24,12),
    CONSTRAINT tenant_account_id_check CHECK ((account_id ~ '^[1-9][0-9]{11}$'::text)),
    CONSTRAINT tenant_spend_alert_check CHECK ((spend_alert > (0)::numeric)),
    CONSTRAINT tenant_suspended_check CHECK ((suspended = (suspended_at IS NOT NULL)))
);

ALTER TABLE ONLY public.tenant FORCE ROW LEVEL SECURITY;

CREATE TABLE public.tenant_left (
    tenant_id integer NOT NULL,
    gateway_id integer NOT NULL,
    left_at timestamp with time zone DEFAULT now() NOT NULL
);

ALTER TABLE ONLY public.tenant_left FORCE ROW LEVEL SECURITY;

ALTER TABLE public.tenant ALTER COLUMN tenant_id ADD GENERATED ALWAYS AS IDENTITY (
    SEQUENCE NAME public.tenant_tenant_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1
);

CREATE TABLE public.ticket (
    token_hash bytea NOT NULL,
    kind text NOT NULL,
    tenant_id integer,
    ticket_id text NOT NULL,
    subject text,
    email text NOT NULL,
    payload jsonb DEFAULT '{}'::jsonb NOT NULL,
    created_at timestamp with time zone DEFAULT now() NOT NULL,
    expires_at timestamp with time zone NOT NULL,
    CONSTRAINT ticket_kind_check CHECK ((kind = ANY (ARRAY['sign-up'::text, 'reset'::text, 'invitation'::text, 'developer-sign-up'::text, 'developer-reset'::text]))),
    CONSTRAINT ticket_token_hash_check CHECK ((length(token_hash) = 32))
);

ALTER TABLE ONLY public.ticket FORCE ROW LEVEL SECURITY;

CREATE TABLE public.usage_batch (
    boot uuid NOT NULL,
    seq bigint NOT NULL,
    gateway_id integer NOT NULL,
    hash bytea NOT NULL,
    lines integer NOT NULL,
    calls bigint NOT NULL,
    t_min timestamp with time zone,
    t_max timestamp with time zone,
    watermark timestamp with time zone NOT NULL,
    final boolean NOT NULL,
    received_at timestamp with time zone DEFAULT now() NOT NULL,
    CONSTRAINT usage_batch_hash_check CHECK ((length(hash) = 32)),
    CONSTRAINT usage_batch_seq_check CHECK ((seq > 0))
);

CREATE TABLE public.usage_boot (
    boot uuid NOT NULL,
    gateway_id integer NOT NULL,
    state text DEFAULT 'live'::text NOT NULL,
    contiguous_seq bigint DEFAULT 0 NOT NULL,
    last_seq bigint,
    watermark timestamp with time zone,
    batches bigint DEFAULT 0 NOT NULL,
    calls bigint DEFAULT 0 NOT NULL,
    started_at timestamp with time zone DEFAULT now() NOT NULL,
    seen_at timestamp with time zone DEFAULT now() NOT NULL,
    ahead bigint DEFAULT 0 NOT NULL,
    CONSTRAINT usage_boot_check CHECK (((contiguous_seq >= 0) AND ((last_seq IS NULL) OR (contiguous_seq <= last_seq)))),
    CONSTRAINT usage_boot_check1 CHECK ((((state = 'closed'::text) = ((last_seq IS NOT NULL) AND (contiguous_seq = last_seq))) OR (state = 'abandoned'::text))),
    CONSTRAINT usage_boot_state_check CHECK ((state = ANY (ARRAY['live'::text, 'closed'::text, 'abandoned'::text])))
);

CREATE TABLE public.usage_day (
    tenant_id integer NOT NULL,
    day timestamp with time zone NOT NULL,
    stage_num integer NOT NULL,
    method_num integer NOT NULL,
    subscription_id bigint NOT NULL,
    key_num integer NOT NULL,
    terms integer NOT NULL,
    status integer NOT NULL,
    flags integer NOT NULL,
    gen integer NOT NULL,
    calls numeric(38,0) NOT NULL,
    bytes_in numeric(38,0) NOT NULL,
    bytes_out numeric(38,0) NOT NULL,
    micros numeric(38,0) NOT NULL
)
PARTITION BY RANGE (day);

ALTER TABLE ONLY public.usage_day FORCE ROW LEVEL SECURITY;

CREATE TABLE public.usage_day_default (
    tenant_id integer NOT NULL,
    day timestamp with time zone NOT NULL,
    stage_num integer NOT NULL,
    method_num integer NOT NULL,
    subscription_id bigint NOT NULL,
    key_num integer NOT NULL,
    terms integer NOT NULL,
    status integer NOT NULL,
    flags integer NOT NULL,
    gen integer NOT NULL,
    calls numeric(38,0) NOT NULL,
    bytes_in numeric(38,0) NOT NULL,
    bytes_out numeric(38,0) NOT NULL,
    micros numeric(38,0) NOT NULL
);

ALTER TABLE ONLY public.usage_day_default FORCE ROW LEVEL SECURITY;

CREATE TABLE public.usage_hour (
    tenant_id integer NOT NULL,
    hour timestamp with time zone NOT NULL,
    stage_num integer NOT NULL,
    method_num integer NOT NULL,
    subscription_id bigint NOT NULL,
    key_num integer NOT NULL,
    terms integer NOT NULL,
    status integer NOT NULL,
    flags integer NOT NULL,
    gen integer NOT NULL,
    calls numeric(38,0) NOT NULL,
    bytes_in numeric(38,0) NOT NULL,
    bytes_out numeric(38,0) NOT NULL,
    micros numeric(38,0) NOT NULL
)
PARTITION BY RANGE (hour);

ALTER TABLE ONLY public.usage_hour FORCE ROW LEVEL SECURITY;

CREATE TABLE public.usage_hour_default (
    tenant_id integer NOT NULL,
    hour timestamp with time zone NOT NULL,
    stage_num integer NOT NULL,
    method_num integer NOT NULL,
    subscription_id bigint NOT NULL,
    key_num integer NOT NULL,
    terms integer NOT NULL,
    status integer NOT NULL,
    flags integer NOT NULL,
    gen integer NOT NULL,
    calls numeric(38,0) NOT NULL,
    bytes_in numeric(38,0) NOT NULL,
    bytes_out numeric(38,0) NOT NULL,
    micros numeric(38,0) NOT NULL
);

ALTER TABLE ONLY public.usage_hour_default FORCE ROW LEVEL SECURITY;

CREATE TABLE public.usage_intake (
    tenant_id integer,
    hour timestamp with time zone,
    stage_num integer,
    method_num integer,
    subscription_id bigint,
    key_num integer,
    terms integer,
    status integer,
    flags integer,
    gen integer,
    calls bigint,
    bytes_in bigint,
    bytes_out bigint,
    micros bigint,
    boot uuid,
    seq bigint
)
PARTITION BY RANGE (hour);

CREATE TABLE public.usage_line (
    tenant_id integer NOT NULL,
    hour timestamp with time zone NOT NULL,
    stage_num integer NOT NULL,
    method_num integer NOT NULL,
    subscription_id bigint NOT NULL,
    key_num integer NOT NULL,
    terms integer NOT NULL,
    status integer NOT NULL,
    flags integer NOT NULL,
    gen integer DEFAULT 0 NOT NULL,
    calls bigint NOT NULL,
    bytes_in bigint NOT NULL,
    bytes_out bigint NOT NULL,
    micros bigint NOT NULL,
    boot uuid NOT NULL,
    seq bigint NOT NULL,
    CONSTRAINT usage_line_bytes_in_check CHECK ((bytes_in >= 0)),
    CONSTRAINT usage_line_bytes_out_check CHECK ((bytes_out >= 0)),
    CONSTRAINT usage_line_calls_check CHECK ((calls > 0)),
    CONSTRAINT usage_line_micros_check CHECK ((micros >= 0))
)
PARTITION BY RANGE (hour);

ALTER TABLE ONLY public.usage_line FORCE ROW LEVEL SECURITY;

CREATE TABLE public.usage_line_default (
    tenant_id integer NOT NULL,
    hour timestamp with time zone NOT NULL,
    stage_num integer NOT NULL,
    method_num integer NOT NULL,
    subscription_id bigint NOT NULL,
    key_num integer NOT NULL,
    terms integer NOT NULL,
    status integer NOT NULL,
    flags integer NOT NULL,
    gen integer DEFAULT 0 NOT NULL,
    calls bigint NOT NULL,
    bytes_in bigint NOT NULL,
    bytes_out bigint NOT NULL,
    micros bigint NOT NULL,
    boot uuid NOT NULL,
    seq bigint NOT NULL,
    CONSTRAINT usage_line_bytes_in_check CHECK ((bytes_in >= 0)),
    CONSTRAINT usage_line_bytes_out_check CHECK ((bytes_out >= 0)),
    CONSTRAINT usage_line_calls_check CHECK ((calls > 0)),
    CONSTRAINT usage_line_micros_check CHECK ((micros >= 0))
);

ALTER TABLE ONLY public.usage_line_default FORCE ROW LEVEL SECURITY;

CREATE TABLE public.usage_quarantine (
    hash bytea NOT NULL,
    gateway_id integer NOT NULL,
    boot uuid,
    seq bigint,
    reason text NOT NULL,
    encoded bytea NOT NULL,
    received_at timestamp with time zone DEFAULT now() NOT NULL,
    CONSTRAINT usage_quarantine_hash_check CHECK ((length(hash) = 32))
);

CREATE TABLE public.vpc_link (
    tenant_id integer NOT NULL,
    link_id text NOT NULL,
    name text NOT NULL,
    description text NOT NULL,
    target_arns text[] NOT NULL,
    created_at timestamp with time zone DEFAULT now() NOT NULL,
    CONSTRAINT vpc_link_description_check CHECK ((length(description) <= 1024)),
    CONSTRAINT vpc_link_name_check CHECK (((length(name) >= 1) AND (length(name) <= 1024)))
);

ALTER TABLE ONLY public.vpc_link FORCE ROW LEVEL SECURITY;

CREATE TABLE public.wallet (
    tenant_id integer NOT NULL,
    wallet_id text NOT NULL,
    developer_id text,
    currency text NOT NULL,
    balance bigint DEFAULT 0 NOT NULL,
    owed bigint DEFAULT 0 NOT NULL,
    refill_below bigint,
    refill_by bigint,
    created_at timestamp with time zone DEFAULT now() NOT NULL,
    CONSTRAINT wallet_balance_check CHECK ((balance >= 0)),
    CONSTRAINT wallet_check CHECK (((refill_below IS NULL) = (refill_by IS NULL))),
    CONSTRAINT wallet_check1 CHECK (((balance = 0) OR (owed = 0))),
    CONSTRAINT wallet_currency_check CHECK ((currency ~ '^[A-Z]{3}$'::text)),
    CONSTRAINT wallet_owed_check CHECK ((owed >= 0)),
    CONSTRAINT wallet_refill_below_check CHECK ((refill_below > 0)),
    CONSTRAINT wallet_refill_by_check CHECK ((refill_by > 0))
);

ALTER TABLE ONLY public.wallet FORCE ROW LEVEL SECURITY;

CREATE TABLE public.webhook_event (
    account text NOT NULL,
    event_id text NOT NULL,
    tenant_id integer,
    kind text NOT NULL,
    object_id text NOT NULL,
    created_at timestamp with time zone NOT NULL,
    received_at timestamp with time zone DEFAULT now() NOT NULL,
    swept boolean DEFAULT false NOT NULL,
    state text DEFAULT 'new'::text NOT NULL,
    attempts integer DEFAULT 0 NOT NULL,
    problem text DEFAULT ''::text NOT NULL,
    done_at timestamp with time zone,
    CONSTRAINT webhook_event_state_check CHECK ((state = ANY (ARRAY['new'::text, 'done'::text, 'ignored'::text, 'parked'::text])))
);

ALTER TABLE ONLY public.webhook_event FORCE ROW LEVEL SECURITY;

ALTER TABLE ONLY public.call_log ATTACH PARTITION public.call_log_default DEFAULT;

ALTER TABLE ONLY public.usage_day ATTACH PARTITION public.usage_day_default DEFAULT;

ALTER TABLE ONLY public.usage_hour ATTACH PARTITION public.usage_hour_default DEFAULT;

ALTER TABLE ONLY public.usage_intake ATTACH PARTITION public.usage_line FOR VALUES FROM (MINVALUE) TO (MAXVALUE);

ALTER TABLE ONLY public.usage_line ATTACH PARTITION public.usage_line_default DEFAULT;

ALTER TABLE ONLY public.river_job ALTER COLUMN id SET DEFAULT nextval('public.river_job_id_seq'::regclass);

ALTER TABLE ONLY public.river_notification ALTER COLUMN id SET DEFAULT nextval('public.river_notification_id_seq'::regclass);

ALTER TABLE ONLY public.access_association
    ADD CONSTRAINT access_association_once UNIQUE (tenant_id, name, source);

ALTER TABLE ONLY public.access_association
    ADD CONSTRAINT access_association_pkey PRIMARY KEY (tenant_id, domain_num, source);

ALTER TABLE ONLY public.access_key
    ADD CONSTRAINT access_key_id_key UNIQUE (access_key_id);

ALTER TABLE ONLY public.access_key
    ADD CONSTRAINT access_key_pkey PRIMARY KEY (tenant_id, access_key_id);

ALTER TABLE ONLY public.account_settings
    ADD CONSTRAINT account_settings_pkey PRIMARY KEY (tenant_id);

ALTER TABLE ONLY public.acme_challenge
    ADD CONSTRAINT acme_challenge_pkey PRIMARY KEY (name);

ALTER TABLE ONLY public.acme_file
    ADD CONSTRAINT acme_file_pkey PRIMARY KEY (key);

ALTER TABLE ONLY public.acme_lock
    ADD CONSTRAINT acme_lock_pkey PRIMARY KEY (name);

ALTER TABLE ONLY public.api
    ADD CONSTRAINT api_id_key UNIQUE (api_id);

ALTER TABLE ONLY public.api_key
    ADD CONSTRAINT api_key_id_key UNIQUE (key_id);

ALTER TABLE ONLY public.api_key
    ADD CONSTRAINT api_key_num_key UNIQUE (key_num);

ALTER TABLE ONLY public.api_key
    ADD CONSTRAINT api_key_pkey PRIMARY KEY (tenant_id, key_num);

ALTER TABLE ONLY public.api_method
    ADD CONSTRAINT api_method_num_key UNIQUE (method_num);

ALTER TABLE ONLY public.api_method
    ADD CONSTRAINT api_method_pkey PRIMARY KEY (tenant_id, api_id, path, verb);

ALTER TABLE ONLY public.api
    ADD CONSTRAINT api_pkey PRIMARY KEY (tenant_id, api_id);

ALTER TABLE ONLY public.api_source
    ADD CONSTRAINT api_source_pkey PRIMARY KEY (tenant_id, api_id, sha256);

ALTER TABLE ONLY public.app
    ADD CONSTRAINT app_id_key UNIQUE (app_id);

ALTER TABLE ONLY public.app
    ADD CONSTRAINT app_pkey PRIMARY KEY (tenant_id, app_id);

ALTER TABLE ONLY public.attempt
    ADD CONSTRAINT attempt_pkey PRIMARY KEY (key_hash);

ALTER TABLE ONLY public.audit
    ADD CONSTRAINT audit_pkey PRIMARY KEY (audit_id);

ALTER TABLE ONLY public.base_path_mapping
    ADD CONSTRAINT base_path_mapping_pkey PRIMARY KEY (tenant_id, domain_num, base_path);

ALTER TABLE ONLY public.book_check
    ADD CONSTRAINT book_check_pkey PRIMARY KEY (name);

ALTER TABLE ONLY public.call_boot
    ADD CONSTRAINT call_boot_pkey PRIMARY KEY (boot);

ALTER TABLE ONLY public.call_left
    ADD CONSTRAINT call_left_pkey PRIMARY KEY (tenant_id, stage_num, minute);

ALTER TABLE ONLY public.call_log
    ADD CONSTRAINT call_log_pkey PRIMARY KEY (tenant_id, at, request_id);

ALTER TABLE ONLY public.call_log_default
    ADD CONSTRAINT call_log_default_pkey PRIMARY KEY (tenant_id, at, request_id);

ALTER TABLE ONLY public.certificate
    ADD CONSTRAINT certificate_pkey PRIMARY KEY (tenant_id, certificate_id);

ALTER TABLE ONLY public.client_certificate
    ADD CONSTRAINT client_certificate_pkey PRIMARY KEY (tenant_id, certificate_id);

ALTER TABLE ONLY public.collection
    ADD CONSTRAINT collection_pkey PRIMARY KEY (tenant_id, invoice_id);

ALTER TABLE ONLY public.coupon
    ADD CONSTRAINT coupon_code UNIQUE NULLS NOT DISTINCT (tenant_id, code);

ALTER TABLE ONLY public.coupon
    ADD CONSTRAINT coupon_pkey PRIMARY KEY (coupon_id);

ALTER TABLE ONLY public.coupon_use
    ADD CONSTRAINT coupon_use_once UNIQUE NULLS NOT DISTINCT (tenant_id, developer_id, coupon_id);

ALTER TABLE ONLY public.coupon_use
    ADD CONSTRAINT coupon_use_pkey PRIMARY KEY (tenant_id, use_id);

ALTER TABLE ONLY public.service_credential
    ADD CONSTRAINT credential_num_key UNIQUE (credential_num);

ALTER TABLE ONLY public.credit_grant
    ADD CONSTRAINT credit_grant_pkey PRIMARY KEY (tenant_id, grant_id);

ALTER TABLE ONLY public.credit_grant
    ADD CONSTRAINT credit_grant_wallet UNIQUE (tenant_id, wallet_id, grant_id);

ALTER TABLE ONLY public.credit_note
    ADD CONSTRAINT credit_note_id_key UNIQUE (credit_note_id);

ALTER TABLE ONLY public.credit_note
    ADD CONSTRAINT credit_note_once UNIQUE (tenant_id, invoice_id, reference);

ALTER TABLE ONLY public.credit_note
    ADD CONSTRAINT credit_note_pkey PRIMARY KEY (tenant_id, credit_note_id);

ALTER TABLE ONLY public.credit_note
    ADD CONSTRAINT credit_note_serial_key UNIQUE (series, serial);

ALTER TABLE ONLY public.deployment
    ADD CONSTRAINT deployment_id_key UNIQUE (deployment_id);

ALTER TABLE ONLY public.deployment
    ADD CONSTRAINT deployment_pkey PRIMARY KEY (tenant_id, deployment_id);

ALTER TABLE ONLY public.deployment
    ADD CONSTRAINT deployment_tenant_id_api_id_deployment_id_key UNIQUE (tenant_id, api_id, deployment_id);

ALTER TABLE ONLY public.developer
    ADD CONSTRAINT developer_id_key UNIQUE (developer_id);

ALTER TABLE ONLY public.developer
    ADD CONSTRAINT developer_pkey PRIMARY KEY (tenant_id, developer_id);

ALTER TABLE ONLY public.dispute
    ADD CONSTRAINT dispute_pkey PRIMARY KEY (tenant_id, invoice_id, dispute_id);

ALTER TABLE ONLY public.documentation_version
    ADD CONSTRAINT documentation_version_pkey PRIMARY KEY (tenant_id, api_id, version);

ALTER TABLE ONLY public.domain
    ADD CONSTRAINT domain_key_key UNIQUE (tenant_id, key);

ALTER TABLE ONLY public.owned_name
    ADD CONSTRAINT domain_num_key UNIQUE (domain_num);

ALTER TABLE ONLY public.domain
    ADD CONSTRAINT domain_pkey PRIMARY KEY (tenant_id, domain_num);

ALTER TABLE ONLY public.feed_change
    ADD CONSTRAINT feed_change_pkey PRIMARY KEY (gateway_id, rev, tenant_id, kind, first_num);

ALTER TABLE ONLY public.feed_head
    ADD CONSTRAINT feed_head_pkey PRIMARY KEY (one);

ALTER TABLE ONLY public.feed_revision
    ADD CONSTRAINT feed_revision_pkey PRIMARY KEY (rev);

ALTER TABLE ONLY public.gateway
    ADD CONSTRAINT gateway_name_key UNIQUE (name);

ALTER TABLE ONLY public.gateway
    ADD CONSTRAINT gateway_pkey PRIMARY KEY (gateway_id);

ALTER TABLE ONLY public.gateway
    ADD CONSTRAINT gateway_run_addr_key UNIQUE (run_addr);

ALTER TABLE ONLY public.gateway
    ADD CONSTRAINT gateway_run_tls_addr_key UNIQUE (run_tls_addr);

ALTER TABLE ONLY public.installation
    ADD CONSTRAINT installation_pkey PRIMARY KEY (one);

ALTER TABLE ONLY public.invoice
    ADD CONSTRAINT invoice_id_key UNIQUE (invoice_id);

ALTER TABLE ONLY public.invoice_line
    ADD CONSTRAINT invoice_line_pkey PRIMARY KEY (tenant_id, invoice_id, line);

ALTER TABLE ONLY public.invoice
    ADD CONSTRAINT invoice_pkey PRIMARY KEY (tenant_id, invoice_id);

ALTER TABLE ONLY public.invoice
    ADD CONSTRAINT invoice_serial_key UNIQUE (series, serial);

ALTER TABLE ONLY public.invoice_series
    ADD CONSTRAINT invoice_series_pkey PRIMARY KEY (series);

ALTER TABLE ONLY public.ledger_entry
    ADD CONSTRAINT ledger_entry_pkey PRIMARY KEY (tenant_id, transaction_id, line);

ALTER TABLE ONLY public.ledger_transaction
    ADD CONSTRAINT ledger_once UNIQUE (tenant_id, wallet_id, kind, reference);

ALTER TABLE ONLY public.ledger_transaction
    ADD CONSTRAINT ledger_transaction_pkey PRIMARY KEY (tenant_id, transaction_id);

ALTER TABLE ONLY public.ledger_transaction
    ADD CONSTRAINT ledger_transaction_wallet UNIQUE (tenant_id, wallet_id, transaction_id);

ALTER TABLE ONLY public.link_target
    ADD CONSTRAINT link_target_pkey PRIMARY KEY (tenant_id, link_id, target, gateway_id, node);

ALTER TABLE ONLY public.mail
    ADD CONSTRAINT mail_pkey PRIMARY KEY (mail_id);

ALTER TABLE ONLY public.member
    ADD CONSTRAINT member_once UNIQUE (tenant_id, person_id);

ALTER TABLE ONLY public.member
    ADD CONSTRAINT member_pkey PRIMARY KEY (tenant_id, member_id);

ALTER TABLE ONLY public.node_demand
    ADD CONSTRAINT node_demand_pkey PRIMARY KEY (gateway_id, boot);

ALTER TABLE ONLY public.node
    ADD CONSTRAINT node_pkey PRIMARY KEY (gateway_id, name);

ALTER TABLE ONLY public.node_token
    ADD CONSTRAINT node_token_pkey PRIMARY KEY (token_hash);

ALTER TABLE ONLY public.operator
    ADD CONSTRAINT operator_pkey PRIMARY KEY (operator_id);

ALTER TABLE ONLY public.owned_name
    ADD CONSTRAINT owned_name_pkey PRIMARY KEY (tenant_id, name);

ALTER TABLE ONLY public.payment
    ADD CONSTRAINT payment_once UNIQUE (tenant_id, invoice_id, kind, reference);

ALTER TABLE ONLY public.payment
    ADD CONSTRAINT payment_pkey PRIMARY KEY (tenant_id, payment_id);

ALTER TABLE ONLY public.period_close
    ADD CONSTRAINT period_close_pkey PRIMARY KEY (tenant_id, period_start);

ALTER TABLE ONLY public.person
    ADD CONSTRAINT person_pkey PRIMARY KEY (person_id);

ALTER TABLE ONLY public.plan_change
    ADD CONSTRAINT plan_change_pkey PRIMARY KEY (tenant_id, subscription_id);

ALTER TABLE ONLY public.plan
    ADD CONSTRAINT plan_id_key UNIQUE (plan_id);

ALTER TABLE ONLY public.plan
    ADD CONSTRAINT plan_num_key UNIQUE (plan_num);

ALTER TABLE ONLY public.plan
    ADD CONSTRAINT plan_pkey PRIMARY KEY (tenant_id, plan_id);

ALTER TABLE ONLY public.plan_stage
    ADD CONSTRAINT plan_stage_pkey PRIMARY KEY (tenant_id, plan_id, stage_num);

ALTER TABLE ONLY public.portal_api
    ADD CONSTRAINT portal_api_pkey PRIMARY KEY (tenant_id, api_id);

ALTER TABLE ONLY public.portal
    ADD CONSTRAINT portal_pkey PRIMARY KEY (tenant_id);

ALTER TABLE ONLY public.portal
    ADD CONSTRAINT portal_slug_key UNIQUE (slug);

ALTER TABLE ONLY public.price_change
    ADD CONSTRAINT price_change_pkey PRIMARY KEY (tenant_id, plan_id);

ALTER TABLE ONLY public.price_sheet
    ADD CONSTRAINT price_sheet_pkey PRIMARY KEY (sheet_num);

ALTER TABLE ONLY public.price_sheet
    ADD CONSTRAINT price_sheet_tenant_key UNIQUE (tenant_id, sheet_num);

ALTER TABLE ONLY public.psp_object
    ADD CONSTRAINT psp_object_pkey PRIMARY KEY (tenant_id, account, kind, local_id);

ALTER TABLE ONLY public.quota_lease
    ADD CONSTRAINT quota_lease_pkey PRIMARY KEY (tenant_id, subscription_id, kind, window_start, boot);

ALTER TABLE ONLY public.quota_window
    ADD CONSTRAINT quota_window_pkey PRIMARY KEY (tenant_id, subscription_id, kind, window_start);

ALTER TABLE ONLY public.resource_interval
    ADD CONSTRAINT resource_interval_pkey PRIMARY KEY (tenant_id, kind, resource, valid_from);

ALTER TABLE ONLY public.river_job
    ADD CONSTRAINT river_job_pkey PRIMARY KEY (id);

ALTER TABLE ONLY public.river_leader
    ADD CONSTRAINT river_leader_pkey PRIMARY KEY (name);

ALTER TABLE ONLY public.river_migration
    ADD CONSTRAINT river_migration_pkey1 PRIMARY KEY (line, version);

ALTER TABLE ONLY public.river_notification
    ADD CONSTRAINT river_notification_pkey PRIMARY KEY (id);

ALTER TABLE ONLY public.river_queue
    ADD CONSTRAINT river_queue_pkey PRIMARY KEY (name);

ALTER TABLE ONLY public.routing_rule
    ADD CONSTRAINT routing_rule_pkey PRIMARY KEY (tenant_id, domain_num, rule_id);

ALTER TABLE ONLY public.routing_rule
    ADD CONSTRAINT routing_rule_priority UNIQUE (tenant_id, domain_num, priority) DEFERRABLE INITIALLY DEFERRED;

ALTER TABLE ONLY public.schema_migrations
    ADD CONSTRAINT schema_migrations_pkey PRIMARY KEY (version);

ALTER TABLE ONLY public.service_credential
    ADD CONSTRAINT service_credential_pkey PRIMARY KEY (tenant_id, name);

ALTER TABLE ONLY public.session
    ADD CONSTRAINT session_pkey PRIMARY KEY (id_hash);

ALTER TABLE ONLY public.spend_alert
    ADD CONSTRAINT spend_alert_pkey PRIMARY KEY (tenant_id, developer_id, subscription_id, month, percent);

ALTER TABLE ONLY public.spend_limit
    ADD CONSTRAINT spend_limit_pkey PRIMARY KEY (tenant_id, subscription_id);

ALTER TABLE ONLY public.stage_deployment
    ADD CONSTRAINT stage_deployment_pkey PRIMARY KEY (tenant_id, stage_num, deployment_id);

ALTER TABLE ONLY public.stage
    ADD CONSTRAINT stage_num_key UNIQUE (stage_num);

ALTER TABLE ONLY public.stage
    ADD CONSTRAINT stage_pkey PRIMARY KEY (tenant_id, stage_num);

ALTER TABLE ONLY public.stripe_account
    ADD CONSTRAINT stripe_account_key UNIQUE (account);

ALTER TABLE ONLY public.stripe_account
    ADD CONSTRAINT stripe_account_pkey PRIMARY KEY (tenant_id, account);

ALTER TABLE ONLY public.stripe_cursor
    ADD CONSTRAINT stripe_cursor_pkey PRIMARY KEY (account);

ALTER TABLE ONLY public.stripe_customer
    ADD CONSTRAINT stripe_customer_key UNIQUE (account, customer);

ALTER TABLE ONLY public.stripe_customer
    ADD CONSTRAINT stripe_customer_payer UNIQUE NULLS NOT DISTINCT (tenant_id, account, developer_id);

ALTER TABLE ONLY public.stripe_hour
    ADD CONSTRAINT stripe_hour_pkey PRIMARY KEY (tenant_id, account, customer, meter, hour);

ALTER TABLE ONLY public.stripe_meter
    ADD CONSTRAINT stripe_meter_pkey PRIMARY KEY (account, meter);

ALTER TABLE ONLY public.subscription
    ADD CONSTRAINT subscription_id_key UNIQUE (subscription_id);

ALTER TABLE ONLY public.subscription_key
    ADD CONSTRAINT subscription_key_pkey PRIMARY KEY (tenant_id, subscription_id, key_num);

ALTER TABLE ONLY public.subscription
    ADD CONSTRAINT subscription_pkey PRIMARY KEY (tenant_id, subscription_id);

ALTER TABLE ONLY public.tag
    ADD CONSTRAINT tag_pkey PRIMARY KEY (tenant_id, resource);

ALTER TABLE ONLY public.tax_quote
    ADD CONSTRAINT tax_quote_pkey PRIMARY KEY (tenant_id, hash);

ALTER TABLE ONLY public.tenant
    ADD CONSTRAINT tenant_account_key UNIQUE (account_id);

ALTER TABLE ONLY public.tenant_left
    ADD CONSTRAINT tenant_left_pkey PRIMARY KEY (tenant_id, gateway_id);

ALTER TABLE ONLY public.tenant
    ADD CONSTRAINT tenant_pkey PRIMARY KEY (tenant_id);

ALTER TABLE ONLY public.ticket
    ADD CONSTRAINT ticket_id_key UNIQUE (ticket_id);

ALTER TABLE ONLY public.ticket
    ADD CONSTRAINT ticket_pkey PRIMARY KEY (token_hash);

ALTER TABLE ONLY public.usage_batch
    ADD CONSTRAINT usage_batch_pkey PRIMARY KEY (boot, seq);

ALTER TABLE ONLY public.usage_boot
    ADD CONSTRAINT usage_boot_pkey PRIMARY KEY (boot);

ALTER TABLE ONLY public.usage_day
    ADD CONSTRAINT usage_day_pkey PRIMARY KEY (tenant_id, day, stage_num, method_num, subscription_id, key_num, terms, status, flags, gen);

ALTER TABLE ONLY public.usage_day_default
    ADD CONSTRAINT usage_day_default_pkey PRIMARY KEY (tenant_id, day, stage_num, method_num, subscription_id, key_num, terms, status, flags, gen);

ALTER TABLE ONLY public.usage_hour
    ADD CONSTRAINT usage_hour_pkey PRIMARY KEY (tenant_id, hour, stage_num, method_num, subscription_id, key_num, terms, status, flags, gen);

ALTER TABLE ONLY public.usage_hour_default
    ADD CONSTRAINT usage_hour_default_pkey PRIMARY KEY (tenant_id, hour, stage_num, method_num, subscription_id, key_num, terms, status, flags, gen);

ALTER TABLE ONLY public.usage_quarantine
    ADD CONSTRAINT usage_quarantine_pkey PRIMARY KEY (hash);

ALTER TABLE ONLY public.vpc_link
    ADD CONSTRAINT vpc_link_pkey PRIMARY KEY (tenant_id, link_id);

ALTER TABLE ONLY public.wallet
    ADD CONSTRAINT wallet_payer UNIQUE NULLS NOT DISTINCT (tenant_id, developer_id, currency);

ALTER TABLE ONLY public.wallet
    ADD CONSTRAINT wallet_pkey PRIMARY KEY (tenant_id, wallet_id);

ALTER TABLE ONLY public.webhook_event
    ADD CONSTRAINT webhook_event_pkey PRIMARY KEY (account, event_id);

CREATE INDEX api_key_app ON public.api_key USING btree (tenant_id, app_id) WHERE (app_id IS NOT NULL);

CREATE UNIQUE INDEX api_key_hash_key ON public.api_key USING btree (tenant_id, hash) WHERE (deleted_at IS NULL);

CREATE INDEX api_key_list ON public.api_key USING btree (tenant_id, name, key_id) WHERE (deleted_at IS NULL);

CREATE INDEX api_key_newest ON public.api_key USING btree (tenant_id, key_num DESC) WHERE (deleted_at IS NULL);

CREATE INDEX api_list ON public.api USING btree (tenant_id, name, api_id) WHERE (deleted_at IS NULL);

CREATE INDEX app_developer ON public.app USING btree (tenant_id, developer_id, name);

CREATE INDEX attempt_age ON public.attempt USING btree (full_at);

CREATE INDEX audit_action ON public.audit USING btree (tenant_id, action, audit_id DESC);

CREATE INDEX audit_operator ON public.audit USING btree (audit_id DESC) WHERE ((role = 'operator'::text) OR (tenant_id IS NULL));

CREATE INDEX audit_tenant ON public.audit USING btree (tenant_id, audit_id DESC);

CREATE INDEX base_path_mapping_api ON public.base_path_mapping USING btree (tenant_id, api_id);

CREATE INDEX call_left_minute ON public.call_left USING btree (minute);

CREATE INDEX call_log_request ON ONLY public.call_log USING btree (tenant_id, request_id);

CREATE INDEX call_log_default_tenant_id_request_id_idx ON public.call_log_default USING btree (tenant_id, request_id);

CREATE INDEX call_log_stage ON ONLY public.call_log USING btree (tenant_id, stage_num, at);

CREATE INDEX call_log_default_tenant_id_stage_num_at_idx ON public.call_log_default USING btree (tenant_id, stage_num, at);

CREATE INDEX call_log_tx ON ONLY public.call_log USING btree (tenant_id, tx);

CREATE INDEX call_log_default_tenant_id_tx_idx ON public.call_log_default USING btree (tenant_id, tx);

CREATE INDEX certificate_acme ON public.certificate USING btree (not_after) WHERE (kind = 'acme'::text);

CREATE INDEX collection_unpaid ON public.collection USING btree (due_at) WHERE (state = ANY (ARRAY['open'::text, 'past_due'::text]));

CREATE INDEX coupon_use_coupon ON public.coupon_use USING btree (coupon_id);

CREATE INDEX credit_grant_expiry ON public.credit_grant USING btree (expires_at) WHERE (remaining > 0);

CREATE INDEX credit_grant_invoice ON public.credit_grant USING btree (tenant_id, invoice_id) WHERE (invoice_id IS NOT NULL);

CREATE INDEX credit_note_adjustment ON public.credit_note USING btree (tenant_id, adjustment_id) WHERE (adjustment_id IS NOT NULL);

CREATE INDEX deployment_list ON public.deployment USING btree (tenant_id, api_id, deployment_num DESC);

CREATE UNIQUE INDEX developer_email_key ON public.developer USING btree (tenant_id, lower(email));

CREATE INDEX domain_certificate ON public.domain USING btree (tenant_id, certificate_id);

CREATE INDEX feed_change_age ON public.feed_change USING btree (at);

CREATE INDEX invoice_developer ON public.invoice USING btree (tenant_id, developer_id, period_start DESC);

CREATE INDEX invoice_line_subscription ON public.invoice_line USING btree (tenant_id, subscription_id);

CREATE UNIQUE INDEX invoice_one_draft ON public.invoice USING btree (tenant_id, seller, developer_id, period_start, currency) NULLS NOT DISTINCT WHERE (state = 'draft'::text);

CREATE INDEX ledger_entry_grant ON public.ledger_entry USING btree (tenant_id, grant_id) WHERE (grant_id IS NOT NULL);

CREATE INDEX ledger_entry_wallet ON public.ledger_entry USING btree (tenant_id, wallet_id, transaction_id);

CREATE INDEX ledger_transaction_invoice ON public.ledger_transaction USING btree (tenant_id, invoice_id) WHERE (invoice_id IS NOT NULL);

CREATE INDEX link_target_node ON public.link_target USING btree (gateway_id, node);

CREATE INDEX mail_age ON public.mail USING btree (created_at);

CREATE INDEX member_person ON public.member USING btree (person_id);

CREATE INDEX node_token_node ON public.node_token USING btree (gateway_id, node);

CREATE UNIQUE INDEX operator_email_key ON public.operator USING btree (lower(email));

CREATE UNIQUE INDEX owned_name_verified ON public.owned_name USING btree (name) WHERE (verified_at IS NOT NULL);

CREATE INDEX owned_name_waiting ON public.owned_name USING btree (checked_at) WHERE (verified_at IS NULL);

CREATE UNIQUE INDEX person_email_key ON public.person USING btree (lower(email));

CREATE INDEX plan_change_due ON public.plan_change USING btree (at) WHERE (problem = ''::text);

CREATE INDEX plan_list ON public.plan USING btree (tenant_id, name, plan_id) WHERE (deleted_at IS NULL);

CREATE INDEX plan_stage_stage ON public.plan_stage USING btree (tenant_id, stage_num);

CREATE INDEX price_change_due ON public.price_change USING btree (at);

CREATE INDEX price_change_untold ON public.price_change USING btree (asked_at) WHERE (told_at IS NULL);

CREATE UNIQUE INDEX price_sheet_version ON public.price_sheet USING btree (tenant_id, plan_id, version) NULLS NOT DISTINCT;

CREATE INDEX psp_object_open ON public.psp_object USING btree (tenant_id, state) WHERE ((kind = 'invoice'::text) AND (state = ANY (ARRAY[''::text, 'waiting'::text, 'draft'::text, 'open'::text])));

CREATE INDEX psp_object_problem ON public.psp_object USING btree (updated_at DESC) WHERE (problem <> ''::text);

CREATE INDEX psp_object_remote ON public.psp_object USING btree (account, remote_id);

CREATE INDEX quota_lease_recalled ON public.quota_lease USING btree (boot) WHERE (recalled_at IS NOT NULL);

CREATE INDEX quota_window_age ON public.quota_window USING btree (window_start);

CREATE UNIQUE INDEX resource_interval_open ON public.resource_interval USING btree (tenant_id, kind, resource) WHERE (valid_to IS NULL);

CREATE INDEX river_job_args_index ON public.river_job USING gin (args);

CREATE INDEX river_job_kind ON public.river_job USING btree (kind);

CREATE INDEX river_job_metadata_index ON public.river_job USING gin (metadata);

CREATE INDEX river_job_prioritized_fetching_index ON public.river_job USING btree (state, queue, priority, scheduled_at, id);

CREATE INDEX river_job_state_and_finalized_at_index ON public.river_job USING btree (state, finalized_at) WHERE (finalized_at IS NOT NULL);

CREATE UNIQUE INDEX river_job_unique_idx ON public.river_job USING btree (unique_key) WHERE ((unique_key IS NOT NULL) AND (unique_states IS NOT NULL) AND public.river_job_state_in_bitmask(unique_states, state));

CREATE INDEX river_notification_created_at_idx ON public.river_notification USING btree (created_at);

CREATE INDEX river_notification_topic_id_idx ON public.river_notification USING btree (topic, id);

CREATE INDEX routing_rule_api ON public.routing_rule USING btree (tenant_id, api_id);

CREATE INDEX session_age ON public.session USING btree (expires_at);

CREATE INDEX session_subject ON public.session USING btree (realm, subject);

CREATE INDEX stage_by_deployment ON public.stage USING btree (tenant_id, api_id, deployment_id);

CREATE INDEX stage_deployment_by_deployment ON public.stage_deployment USING btree (tenant_id, deployment_id);

CREATE UNIQUE INDEX stage_name_key ON public.stage USING btree (tenant_id, api_id, name) WHERE (deleted_at IS NULL);

CREATE UNIQUE INDEX stripe_account_one ON public.stripe_account USING btree (tenant_id) WHERE (disconnected_at IS NULL);

CREATE INDEX stripe_hour_account ON public.stripe_hour USING btree (account, hour);

CREATE INDEX stripe_hour_unsent ON public.stripe_hour USING btree (account, hour) WHERE (sent_at IS NULL);

CREATE INDEX subscription_app ON public.subscription USING btree (app_id, tenant_id) WHERE (app_id IS NOT NULL);

CREATE UNIQUE INDEX subscription_app_once ON public.subscription USING btree (app_id, plan_id, tenant_id) WHERE ((ended_at IS NULL) AND (app_id IS NOT NULL));

CREATE INDEX subscription_follows ON public.subscription USING btree (follows_id, tenant_id) WHERE (follows_id IS NOT NULL);

CREATE INDEX subscription_key_key ON public.subscription_key USING btree (key_num, subscription_id, tenant_id);

CREATE UNIQUE INDEX subscription_ledger_once ON public.subscription USING btree (ledger_id, tenant_id) WHERE (ended_at IS NULL);

CREATE INDEX subscription_plan ON public.subscription USING btree (plan_id, tenant_id) WHERE (ended_at IS NULL);

CREATE INDEX subscription_plan_app ON public.subscription USING btree (plan_id, tenant_id) WHERE ((ended_at IS NULL) AND (app_id IS NOT NULL));

CREATE INDEX tenant_gateway ON public.tenant USING btree (gateway_id);

CREATE INDEX ticket_age ON public.ticket USING btree (expires_at);

CREATE INDEX ticket_subject ON public.ticket USING btree (kind, lower(email));

CREATE INDEX usage_batch_age ON public.usage_batch USING btree (received_at);

CREATE INDEX usage_boot_open ON public.usage_boot USING btree (watermark) WHERE (state <> 'closed'::text);

CREATE INDEX usage_day_by_day ON ONLY public.usage_day USING btree (day);

CREATE INDEX usage_day_default_day_idx ON public.usage_day_default USING btree (day);

CREATE INDEX usage_day_subscription ON ONLY public.usage_day USING btree (tenant_id, subscription_id, day);

CREATE INDEX usage_day_default_tenant_id_subscription_id_day_idx ON public.usage_day_default USING btree (tenant_id, subscription_id, day);

CREATE INDEX usage_hour_subscription ON ONLY public.usage_hour USING btree (tenant_id, subscription_id, hour);

CREATE INDEX usage_hour_default_tenant_id_subscription_id_hour_idx ON public.usage_hour_default USING btree (tenant_id, subscription_id, hour);

CREATE INDEX usage_line_hour ON ONLY public.usage_line USING brin (hour);

CREATE INDEX usage_line_default_hour_idx ON public.usage_line_default USING brin (hour);

CREATE INDEX usage_line_tenant ON ONLY public.usage_line USING btree (tenant_id, hour);

CREATE INDEX usage_line_default_tenant_id_hour_idx ON public.usage_line_default USING btree (tenant_id, hour);

CREATE INDEX webhook_event_age ON public.webhook_event USING btree (received_at);

CREATE INDEX webhook_event_parked ON public.webhook_event USING btree (received_at DESC) WHERE (state = 'parked'::text);

ALTER INDEX public.call_log_pkey ATTACH PARTITION public.call_log_default_pkey;

ALTER INDEX public.call_log_request ATTACH PARTITION public.call_log_default_tenant_id_request_id_idx;

ALTER INDEX public.call_log_stage ATTACH PARTITION public.call_log_default_tenant_id_stage_num_at_idx;

ALTER INDEX public.call_log_tx ATTACH PARTITION public.call_log_default_tenant_id_tx_idx;

ALTER INDEX public.usage_day_by_day ATTACH PARTITION public.usage_day_default_day_idx;

ALTER INDEX public.usage_day_pkey ATTACH PARTITION public.usage_day_default_pkey;

ALTER INDEX public.usage_day_subscription ATTACH PARTITION public.usage_day_default_tenant_id_subscription_id_day_idx;

ALTER INDEX public.usage_hour_pkey ATTACH PARTITION public.usage_hour_default_pkey;

ALTER INDEX public.usage_hour_subscription ATTACH PARTITION public.usage_hour_default_tenant_id_subscription_id_hour_idx;

ALTER INDEX public.usage_line_hour ATTACH PARTITION public.usage_line_default_hour_idx;

ALTER INDEX public.usage_line_tenant ATTACH PARTITION public.usage_line_default_tenant_id_hour_idx;

CREATE TRIGGER credit_note_is_immutable BEFORE DELETE OR UPDATE ON public.credit_note FOR EACH ROW EXECUTE FUNCTION public.is_immutable();

CREATE TRIGGER deployment_is_immutable BEFORE UPDATE ON public.deployment FOR EACH ROW EXECUTE FUNCTION public.deployment_is_immutable();

CREATE TRIGGER domain_there AFTER INSERT OR DELETE ON public.domain FOR EACH ROW EXECUTE FUNCTION public.domain_is();

CREATE TRIGGER fence BEFORE INSERT ON public.usage_intake FOR EACH STATEMENT EXECUTE FUNCTION public.usage_intake_fence();

CREATE TRIGGER final_invoice_is_immutable BEFORE DELETE OR UPDATE ON public.invoice FOR EACH ROW EXECUTE FUNCTION public.final_invoice_is_immutable();

CREATE TRIGGER final_line_is_immutable BEFORE INSERT OR DELETE OR UPDATE ON public.invoice_line FOR EACH ROW EXECUTE FUNCTION public.final_line_is_immutable();

CREATE TRIGGER grant_terms_are_fixed BEFORE DELETE OR UPDATE ON public.credit_grant FOR EACH ROW EXECUTE FUNCTION public.grant_terms_are_fixed();

CREATE CONSTRAINT TRIGGER ledger_balances AFTER INSERT ON public.ledger_entry DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION public.ledger_balances();

CREATE CONSTRAINT TRIGGER ledger_balances AFTER INSERT ON public.ledger_transaction DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION public.ledger_balances();

CREATE TRIGGER ledger_entry_counts AFTER INSERT ON public.ledger_entry FOR EACH ROW EXECUTE FUNCTION public.ledger_entry_counts();

CREATE TRIGGER ledger_entry_is_immutable BEFORE DELETE OR UPDATE ON public.ledger_entry FOR EACH ROW EXECUTE FUNCTION public.is_immutable();

CREATE TRIGGER ledger_transaction_is_immutable BEFORE DELETE OR UPDATE ON public.ledger_transaction FOR EACH ROW EXECUTE FUNCTION public.is_immutable();

CREATE TRIGGER payment_is_immutable BEFORE DELETE OR UPDATE ON public.payment FOR EACH ROW EXECUTE FUNCTION public.is_immutable();

CREATE TRIGGER price_sheet_is_immutable BEFORE DELETE OR UPDATE ON public.price_sheet FOR EACH ROW EXECUTE FUNCTION public.is_immutable();

CREATE TRIGGER stage_cache AFTER INSERT OR UPDATE OF settings, deleted_at ON public.stage FOR EACH ROW EXECUTE FUNCTION public.stage_cache_is();

ALTER TABLE ONLY public.access_association
    ADD CONSTRAINT access_association_tenant_id_domain_num_fkey FOREIGN KEY (tenant_id, domain_num) REFERENCES public.domain(tenant_id, domain_num);

ALTER TABLE ONLY public.access_key
    ADD CONSTRAINT access_key_tenant_id_member_id_fkey FOREIGN KEY (tenant_id, member_id) REFERENCES public.member(tenant_id, member_id) ON DELETE CASCADE;

ALTER TABLE ONLY public.account_settings
    ADD CONSTRAINT account_settings_tenant_id_fkey FOREIGN KEY (tenant_id) REFERENCES public.tenant(tenant_id);

ALTER TABLE ONLY public.api_key
    ADD CONSTRAINT api_key_tenant_id_app_id_fkey FOREIGN KEY (tenant_id, app_id) REFERENCES public.app(tenant_id, app_id);

ALTER TABLE ONLY public.api_key
    ADD CONSTRAINT api_key_tenant_id_fkey FOREIGN KEY (tenant_id) REFERENCES public.tenant(tenant_id);

ALTER TABLE ONLY public.api_method
    ADD CONSTRAINT api_method_tenant_id_api_id_fkey FOREIGN KEY (tenant_id, api_id) REFERENCES public.api(tenant_id, api_id);

ALTER TABLE ONLY public.api_source
    ADD CONSTRAINT api_source_tenant_id_api_id_fkey FOREIGN KEY (tenant_id, api_id) REFERENCES public.api(tenant_id, api_id);

ALTER TABLE ONLY public.api
    ADD CONSTRAINT api_tenant_id_fkey FOREIGN KEY (tenant_id) REFERENCES public.tenant(tenant_id);

ALTER TABLE ONLY public.app
    ADD CONSTRAINT app_tenant_id_developer_id_fkey FOREIGN KEY (tenant_id, developer_id) REFERENCES public.developer(tenant_id, developer_id);

ALTER TABLE ONLY public.audit
    ADD CONSTRAINT audit_tenant_id_fkey FOREIGN KEY (tenant_id) REFERENCES public.tenant(tenant_id);

ALTER TABLE ONLY public.base_path_mapping
    ADD CONSTRAINT base_path_mapping_tenant_id_api_id_fkey FOREIGN KEY (tenant_id, api_id) REFERENCES public.api(tenant_id, api_id);

ALTER TABLE ONLY public.base_path_mapping
    ADD CONSTRAINT base_path_mapping_tenant_id_domain_num_fkey FOREIGN KEY (tenant_id, domain_num) REFERENCES public.domain(tenant_id, domain_num) ON DELETE CASCADE;

ALTER TABLE ONLY public.call_boot
    ADD CONSTRAINT call_boot_gateway_id_fkey FOREIGN KEY (gateway_id) REFERENCES public.gateway(gateway_id);

ALTER TABLE ONLY public.certificate
    ADD CONSTRAINT certificate_tenant_id_fkey FOREIGN KEY (tenant_id) REFERENCES public.tenant(tenant_id);

ALTER TABLE ONLY public.client_certificate
    ADD CONSTRAINT client_certificate_tenant_id_fkey FOREIGN KEY (tenant_id) REFERENCES public.tenant(tenant_id);

ALTER TABLE ONLY public.collection
    ADD CONSTRAINT collection_tenant_id_invoice_id_fkey FOREIGN KEY (tenant_id, invoice_id) REFERENCES public.invoice(tenant_id, invoice_id);

ALTER TABLE ONLY public.coupon
    ADD CONSTRAINT coupon_tenant_id_fkey FOREIGN KEY (tenant_id) REFERENCES public.tenant(tenant_id);

ALTER TABLE ONLY public.coupon
    ADD CONSTRAINT coupon_tenant_id_plan_id_fkey FOREIGN KEY (tenant_id, plan_id) REFERENCES public.plan(tenant_id, plan_id);

ALTER TABLE ONLY public.coupon_use
    ADD CONSTRAINT coupon_use_coupon_id_fkey FOREIGN KEY (coupon_id) REFERENCES public.coupon(coupon_id);

ALTER TABLE ONLY public.coupon_use
    ADD CONSTRAINT coupon_use_tenant_id_developer_id_fkey FOREIGN KEY (tenant_id, developer_id) REFERENCES public.developer(tenant_id, developer_id);

ALTER TABLE ONLY public.coupon_use
    ADD CONSTRAINT coupon_use_tenant_id_fkey FOREIGN KEY (tenant_id) REFERENCES public.tenant(tenant_id);

ALTER TABLE ONLY public.credit_grant
    ADD CONSTRAINT credit_grant_tenant_id_invoice_id_fkey FOREIGN KEY (tenant_id, invoice_id) REFERENCES public.invoice(tenant_id, invoice_id);

ALTER TABLE ONLY public.credit_grant
    ADD CONSTRAINT credit_grant_tenant_id_wallet_id_fkey FOREIGN KEY (tenant_id, wallet_id) REFERENCES public.wallet(tenant_id, wallet_id);

ALTER TABLE ONLY public.credit_note
    ADD CONSTRAINT credit_note_tenant_id_adjustment_id_fkey FOREIGN KEY (tenant_id, adjustment_id) REFERENCES public.invoice(tenant_id, invoice_id);

ALTER TABLE ONLY public.credit_note
    ADD CONSTRAINT credit_note_tenant_id_invoice_id_fkey FOREIGN KEY (tenant_id, invoice_id) REFERENCES public.invoice(tenant_id, invoice_id);

ALTER TABLE ONLY public.deployment
    ADD CONSTRAINT deployment_tenant_id_api_id_fkey FOREIGN KEY (tenant_id, api_id) REFERENCES public.api(tenant_id, api_id);

ALTER TABLE ONLY public.developer
    ADD CONSTRAINT developer_tenant_id_fkey FOREIGN KEY (tenant_id) REFERENCES public.tenant(tenant_id);

ALTER TABLE ONLY public.dispute
    ADD CONSTRAINT dispute_tenant_id_fkey FOREIGN KEY (tenant_id) REFERENCES public.tenant(tenant_id);

ALTER TABLE ONLY public.dispute
    ADD CONSTRAINT dispute_tenant_id_invoice_id_fkey FOREIGN KEY (tenant_id, invoice_id) REFERENCES public.invoice(tenant_id, invoice_id);

ALTER TABLE ONLY public.documentation_version
    ADD CONSTRAINT documentation_version_tenant_id_api_id_fkey FOREIGN KEY (tenant_id, api_id) REFERENCES public.api(tenant_id, api_id);

ALTER TABLE ONLY public.domain
    ADD CONSTRAINT domain_tenant_id_certificate_id_fkey FOREIGN KEY (tenant_id, certificate_id) REFERENCES public.certificate(tenant_id, certificate_id);

ALTER TABLE ONLY public.domain
    ADD CONSTRAINT domain_tenant_id_public_name_fkey FOREIGN KEY (tenant_id, public_name) REFERENCES public.owned_name(tenant_id, name);

ALTER TABLE ONLY public.feed_change
    ADD CONSTRAINT feed_change_gateway_id_fkey FOREIGN KEY (gateway_id) REFERENCES public.gateway(gateway_id);

ALTER TABLE ONLY public.feed_change
    ADD CONSTRAINT feed_change_tenant_id_fkey FOREIGN KEY (tenant_id) REFERENCES public.tenant(tenant_id);

ALTER TABLE ONLY public.gateway
    ADD CONSTRAINT gateway_tenant_fkey FOREIGN KEY (tenant_id) REFERENCES public.tenant(tenant_id);

ALTER TABLE ONLY public.invoice_line
    ADD CONSTRAINT invoice_line_sheet_num_fkey FOREIGN KEY (sheet_num) REFERENCES public.price_sheet(sheet_num);

ALTER TABLE ONLY public.invoice_line
    ADD CONSTRAINT invoice_line_tenant_id_invoice_id_fkey FOREIGN KEY (tenant_id, invoice_id) REFERENCES public.invoice(tenant_id, invoice_id) ON DELETE CASCADE;

ALTER TABLE ONLY public.invoice_line
    ADD CONSTRAINT invoice_line_tenant_id_use_id_fkey FOREIGN KEY (tenant_id, use_id) REFERENCES public.coupon_use(tenant_id, use_id);

ALTER TABLE ONLY public.invoice
    ADD CONSTRAINT invoice_tenant_id_developer_id_fkey FOREIGN KEY (tenant_id, developer_id) REFERENCES public.developer(tenant_id, developer_id);

ALTER TABLE ONLY public.invoice
    ADD CONSTRAINT invoice_tenant_id_fkey FOREIGN KEY (tenant_id) REFERENCES public.tenant(tenant_id);

ALTER TABLE ONLY public.ledger_entry
    ADD CONSTRAINT ledger_entry_tenant_id_wallet_id_grant_id_fkey FOREIGN KEY (tenant_id, wallet_id, grant_id) REFERENCES public.credit_grant(tenant_id, wallet_id, grant_id);

ALTER TABLE ONLY public.ledger_entry
    ADD CONSTRAINT ledger_entry_tenant_id_wallet_id_transaction_id_fkey FOREIGN KEY (tenant_id, wallet_id, transaction_id) REFERENCES public.ledger_transaction(tenant_id, wallet_id, transaction_id);

ALTER TABLE ONLY public.ledger_transaction
    ADD CONSTRAINT ledger_transaction_tenant_id_invoice_id_fkey FOREIGN KEY (tenant_id, invoice_id) REFERENCES public.invoice(tenant_id, invoice_id);

ALTER TABLE ONLY public.ledger_transaction
    ADD CONSTRAINT ledger_transaction_tenant_id_wallet_id_fkey FOREIGN KEY (tenant_id, wallet_id) REFERENCES public.wallet(tenant_id, wallet_id);

ALTER TABLE ONLY public.link_target
    ADD CONSTRAINT link_target_gateway_id_node_fkey FOREIGN KEY (gateway_id, node) REFERENCES public.node(gateway_id, name) ON DELETE CASCADE;

ALTER TABLE ONLY public.link_target
    ADD CONSTRAINT link_target_tenant_id_link_id_fkey FOREIGN KEY (tenant_id, link_id) REFERENCES public.vpc_link(tenant_id, link_id) ON DELETE CASCADE;

ALTER TABLE ONLY public.mail
    ADD CONSTRAINT mail_tenant_id_fkey FOREIGN KEY (tenant_id) REFERENCES public.tenant(tenant_id);

ALTER TABLE ONLY public.member
    ADD CONSTRAINT member_person_id_fkey FOREIGN KEY (person_id) REFERENCES public.person(person_id);

ALTER TABLE ONLY public.member
    ADD CONSTRAINT member_tenant_id_fkey FOREIGN KEY (tenant_id) REFERENCES public.tenant(tenant_id);

ALTER TABLE ONLY public.node_demand
    ADD CONSTRAINT node_demand_gateway_id_fkey FOREIGN KEY (gateway_id) REFERENCES public.gateway(gateway_id);

ALTER TABLE ONLY public.node
    ADD CONSTRAINT node_gateway_id_fkey FOREIGN KEY (gateway_id) REFERENCES public.gateway(gateway_id);

ALTER TABLE ONLY public.node_token
    ADD CONSTRAINT node_token_gateway_id_fkey FOREIGN KEY (gateway_id) REFERENCES public.gateway(gateway_id);

ALTER TABLE ONLY public.owned_name
    ADD CONSTRAINT owned_name_tenant_id_fkey FOREIGN KEY (tenant_id) REFERENCES public.tenant(tenant_id);

ALTER TABLE ONLY public.payment
    ADD CONSTRAINT payment_tenant_id_invoice_id_fkey FOREIGN KEY (tenant_id, invoice_id) REFERENCES public.invoice(tenant_id, invoice_id);

ALTER TABLE ONLY public.period_close
    ADD CONSTRAINT period_close_tenant_id_fkey FOREIGN KEY (tenant_id) REFERENCES public.tenant(tenant_id);

ALTER TABLE ONLY public.plan_change
    ADD CONSTRAINT plan_change_tenant_id_plan_id_fkey FOREIGN KEY (tenant_id, plan_id) REFERENCES public.plan(tenant_id, plan_id);

ALTER TABLE ONLY public.plan_change
    ADD CONSTRAINT plan_change_tenant_id_subscription_id_fkey FOREIGN KEY (tenant_id, subscription_id) REFERENCES public.subscription(tenant_id, subscription_id);

ALTER TABLE ONLY public.plan_stage
    ADD CONSTRAINT plan_stage_tenant_id_plan_id_fkey FOREIGN KEY (tenant_id, plan_id) REFERENCES public.plan(tenant_id, plan_id);

ALTER TABLE ONLY public.plan_stage
    ADD CONSTRAINT plan_stage_tenant_id_stage_num_fkey FOREIGN KEY (tenant_id, stage_num) REFERENCES public.stage(tenant_id, stage_num);

ALTER TABLE ONLY public.plan
    ADD CONSTRAINT plan_tenant_id_fkey FOREIGN KEY (tenant_id) REFERENCES public.tenant(tenant_id);

ALTER TABLE ONLY public.plan
    ADD CONSTRAINT plan_tenant_id_sheet_num_fkey FOREIGN KEY (tenant_id, sheet_num) REFERENCES public.price_sheet(tenant_id, sheet_num);

ALTER TABLE ONLY public.portal_api
    ADD CONSTRAINT portal_api_tenant_id_api_id_fkey FOREIGN KEY (tenant_id, api_id) REFERENCES public.api(tenant_id, api_id);

ALTER TABLE ONLY public.portal_api
    ADD CONSTRAINT portal_api_tenant_id_stage_num_fkey FOREIGN KEY (tenant_id, stage_num) REFERENCES public.stage(tenant_id, stage_num);

ALTER TABLE ONLY public.portal
    ADD CONSTRAINT portal_tenant_id_fkey FOREIGN KEY (tenant_id) REFERENCES public.tenant(tenant_id);

ALTER TABLE ONLY public.price_change
    ADD CONSTRAINT price_change_tenant_id_plan_id_fkey FOREIGN KEY (tenant_id, plan_id) REFERENCES public.plan(tenant_id, plan_id);

ALTER TABLE ONLY public.price_sheet
    ADD CONSTRAINT price_sheet_tenant_id_fkey FOREIGN KEY (tenant_id) REFERENCES public.tenant(tenant_id);

ALTER TABLE ONLY public.price_sheet
    ADD CONSTRAINT price_sheet_tenant_id_plan_id_fkey FOREIGN KEY (tenant_id, plan_id) REFERENCES public.plan(tenant_id, plan_id);

ALTER TABLE ONLY public.psp_object
    ADD CONSTRAINT psp_object_tenant_id_fkey FOREIGN KEY (tenant_id) REFERENCES public.tenant(tenant_id);

ALTER TABLE ONLY public.quota_lease
    ADD CONSTRAINT quota_lease_gateway_id_fkey FOREIGN KEY (gateway_id) REFERENCES public.gateway(gateway_id);

ALTER TABLE ONLY public.quota_lease
    ADD CONSTRAINT quota_lease_window_fkey FOREIGN KEY (tenant_id, subscription_id, kind, window_start) REFERENCES public.quota_window(tenant_id, subscription_id, kind, window_start) ON DELETE CASCADE;

ALTER TABLE ONLY public.quota_window
    ADD CONSTRAINT quota_window_tenant_id_subscription_id_fkey FOREIGN KEY (tenant_id, subscription_id) REFERENCES public.subscription(tenant_id, subscription_id);

ALTER TABLE ONLY public.resource_interval
    ADD CONSTRAINT resource_interval_tenant_id_fkey FOREIGN KEY (tenant_id) REFERENCES public.tenant(tenant_id);

ALTER TABLE ONLY public.routing_rule
    ADD CONSTRAINT routing_rule_tenant_id_api_id_fkey FOREIGN KEY (tenant_id, api_id) REFERENCES public.api(tenant_id, api_id);

ALTER TABLE ONLY public.routing_rule
    ADD CONSTRAINT routing_rule_tenant_id_domain_num_fkey FOREIGN KEY (tenant_id, domain_num) REFERENCES public.domain(tenant_id, domain_num) ON DELETE CASCADE;

ALTER TABLE ONLY public.service_credential
    ADD CONSTRAINT service_credential_tenant_id_fkey FOREIGN KEY (tenant_id) REFERENCES public.tenant(tenant_id);

ALTER TABLE ONLY public.session
    ADD CONSTRAINT session_tenant_id_fkey FOREIGN KEY (tenant_id) REFERENCES public.tenant(tenant_id);

ALTER TABLE ONLY public.spend_alert
    ADD CONSTRAINT spend_alert_tenant_id_fkey FOREIGN KEY (tenant_id) REFERENCES public.tenant(tenant_id);

ALTER TABLE ONLY public.spend_limit
    ADD CONSTRAINT spend_limit_tenant_id_subscription_id_fkey FOREIGN KEY (tenant_id, subscription_id) REFERENCES public.subscription(tenant_id, subscription_id);

ALTER TABLE ONLY public.stage_deployment
    ADD CONSTRAINT stage_deployment_tenant_id_deployment_id_fkey FOREIGN KEY (tenant_id, deployment_id) REFERENCES public.deployment(tenant_id, deployment_id) ON DELETE CASCADE;

ALTER TABLE ONLY public.stage_deployment
    ADD CONSTRAINT stage_deployment_tenant_id_stage_num_fkey FOREIGN KEY (tenant_id, stage_num) REFERENCES public.stage(tenant_id, stage_num);

ALTER TABLE ONLY public.stage
    ADD CONSTRAINT stage_tenant_id_api_id_canary_deployment_id_fkey FOREIGN KEY (tenant_id, api_id, canary_deployment_id) REFERENCES public.deployment(tenant_id, api_id, deployment_id);

ALTER TABLE ONLY public.stage
    ADD CONSTRAINT stage_tenant_id_api_id_deployment_id_fkey FOREIGN KEY (tenant_id, api_id, deployment_id) REFERENCES public.deployment(tenant_id, api_id, deployment_id);

ALTER TABLE ONLY public.stage
    ADD CONSTRAINT stage_tenant_id_api_id_fkey FOREIGN KEY (tenant_id, api_id) REFERENCES public.api(tenant_id, api_id);

ALTER TABLE ONLY public.stripe_account
    ADD CONSTRAINT stripe_account_tenant_id_fkey FOREIGN KEY (tenant_id) REFERENCES public.tenant(tenant_id);

ALTER TABLE ONLY public.stripe_cursor
    ADD CONSTRAINT stripe_cursor_tenant_id_fkey FOREIGN KEY (tenant_id) REFERENCES public.tenant(tenant_id);

ALTER TABLE ONLY public.stripe_customer
    ADD CONSTRAINT stripe_customer_tenant_id_developer_id_fkey FOREIGN KEY (tenant_id, developer_id) REFERENCES public.developer(tenant_id, developer_id);

ALTER TABLE ONLY public.stripe_customer
    ADD CONSTRAINT stripe_customer_tenant_id_fkey FOREIGN KEY (tenant_id) REFERENCES public.tenant(tenant_id);

ALTER TABLE ONLY public.stripe_hour
    ADD CONSTRAINT stripe_hour_account_customer_fkey FOREIGN KEY (account, customer) REFERENCES public.stripe_customer(account, customer);

ALTER TABLE ONLY public.stripe_hour
    ADD CONSTRAINT stripe_hour_tenant_id_fkey FOREIGN KEY (tenant_id) REFERENCES public.tenant(tenant_id);

ALTER TABLE ONLY public.stripe_meter
    ADD CONSTRAINT stripe_meter_tenant_id_fkey FOREIGN KEY (tenant_id) REFERENCES public.tenant(tenant_id);

ALTER TABLE ONLY public.subscription_key
    ADD CONSTRAINT subscription_key_tenant_id_key_num_fkey FOREIGN KEY (tenant_id, key_num) REFERENCES public.api_key(tenant_id, key_num);

ALTER TABLE ONLY public.subscription_key
    ADD CONSTRAINT subscription_key_tenant_id_subscription_id_fkey FOREIGN KEY (tenant_id, subscription_id) REFERENCES public.subscription(tenant_id, subscription_id);

ALTER TABLE ONLY public.subscription
    ADD CONSTRAINT subscription_tenant_id_app_id_fkey FOREIGN KEY (tenant_id, app_id) REFERENCES public.app(tenant_id, app_id);

ALTER TABLE ONLY public.subscription
    ADD CONSTRAINT subscription_tenant_id_follows_id_fkey FOREIGN KEY (tenant_id, follows_id) REFERENCES public.subscription(tenant_id, subscription_id);

ALTER TABLE ONLY public.subscription
    ADD CONSTRAINT subscription_tenant_id_origin_id_fkey FOREIGN KEY (tenant_id, origin_id) REFERENCES public.subscription(tenant_id, subscription_id);

ALTER TABLE ONLY public.subscription
    ADD CONSTRAINT subscription_tenant_id_plan_id_fkey FOREIGN KEY (tenant_id, plan_id) REFERENCES public.plan(tenant_id, plan_id);

ALTER TABLE ONLY public.tag
    ADD CONSTRAINT tag_tenant_id_fkey FOREIGN KEY (tenant_id) REFERENCES public.tenant(tenant_id);

ALTER TABLE ONLY public.tax_quote
    ADD CONSTRAINT tax_quote_tenant_id_fkey FOREIGN KEY (tenant_id) REFERENCES public.tenant(tenant_id);

ALTER TABLE ONLY public.tenant
    ADD CONSTRAINT tenant_gateway_id_fkey FOREIGN KEY (gateway_id) REFERENCES public.gateway(gateway_id);

ALTER TABLE ONLY public.tenant_left
    ADD CONSTRAINT tenant_left_gateway_id_fkey FOREIGN KEY (gateway_id) REFERENCES public.gateway(gateway_id);

ALTER TABLE ONLY public.tenant_left
    ADD CONSTRAINT tenant_left_tenant_id_fkey FOREIGN KEY (tenant_id) REFERENCES public.tenant(tenant_id);

ALTER TABLE ONLY public.ticket
    ADD CONSTRAINT ticket_tenant_id_fkey FOREIGN KEY (tenant_id) REFERENCES public.tenant(tenant_id);

ALTER TABLE ONLY public.usage_batch
    ADD CONSTRAINT usage_batch_boot_fkey FOREIGN KEY (boot) REFERENCES public.usage_boot(boot);

ALTER TABLE ONLY public.usage_boot
    ADD CONSTRAINT usage_boot_gateway_id_fkey FOREIGN KEY (gateway_id) REFERENCES public.gateway(gateway_id);

ALTER TABLE ONLY public.vpc_link
    ADD CONSTRAINT vpc_link_tenant_id_fkey FOREIGN KEY (tenant_id) REFERENCES public.tenant(tenant_id);

ALTER TABLE ONLY public.wallet
    ADD CONSTRAINT wallet_tenant_id_developer_id_fkey FOREIGN KEY (tenant_id, developer_id) REFERENCES public.developer(tenant_id, developer_id);

ALTER TABLE ONLY public.wallet
    ADD CONSTRAINT wallet_tenant_id_fkey FOREIGN KEY (tenant_id) REFERENCES public.tenant(tenant_id);

ALTER TABLE ONLY public.webhook_event
    ADD CONSTRAINT webhook_event_tenant_id_fkey FOREIGN KEY (tenant_id) REFERENCES public.tenant(tenant_id);

ALTER TABLE public.access_association ENABLE ROW LEVEL SECURITY;

ALTER TABLE public.access_key ENABLE ROW LEVEL SECURITY;

ALTER TABLE public.account_settings ENABLE ROW LEVEL SECURITY;

ALTER TABLE public.api ENABLE ROW LEVEL SECURITY;

ALTER TABLE public.api_key ENABLE ROW LEVEL SECURITY;

ALTER TABLE public.api_method ENABLE ROW LEVEL SECURITY;

ALTER TABLE public.api_source ENABLE ROW LEVEL SECURITY;

ALTER TABLE public.app ENABLE ROW LEVEL SECURITY;

ALTER TABLE public.audit ENABLE ROW LEVEL SECURITY;

ALTER TABLE public.base_path_mapping ENABLE ROW LEVEL SECURITY;

ALTER TABLE public.call_left ENABLE ROW LEVEL SECURITY;

ALTER TABLE public.call_log ENABLE ROW LEVEL SECURITY;

ALTER TABLE public.call_log_default ENABLE ROW LEVEL SECURITY;

ALTER TABLE public.certificate ENABLE ROW LEVEL SECURITY;

ALTER TABLE public.client_certificate ENABLE ROW LEVEL SECURITY;

ALTER TABLE public.collection ENABLE ROW LEVEL SECURITY;

ALTER TABLE public.coupon ENABLE ROW LEVEL SECURITY;

ALTER TABLE public.coupon_use ENABLE ROW LEVEL SECURITY;

ALTER TABLE public.credit_grant ENABLE ROW LEVEL SECURITY;

ALTER TABLE public.credit_note ENABLE ROW LEVEL SECURITY;

ALTER TABLE public.deployment ENABLE ROW LEVEL SECURITY;

ALTER TABLE public.developer ENABLE ROW LEVEL SECURITY;

ALTER TABLE public.dispute ENABLE ROW LEVEL SECURITY;

ALTER TABLE public.documentation_version ENABLE ROW LEVEL SECURITY;

ALTER TABLE public.domain ENABLE ROW LEVEL SECURITY;

ALTER TABLE public.feed_change ENABLE ROW LEVEL SECURITY;

ALTER TABLE public.invoice ENABLE ROW LEVEL SECURITY;

ALTER TABLE public.invoice_line ENABLE ROW LEVEL SECURITY;

ALTER TABLE public.ledger_entry ENABLE ROW LEVEL SECURITY;

ALTER TABLE public.ledger_transaction ENABLE ROW LEVEL SECURITY;

ALTER TABLE public.link_target ENABLE ROW LEVEL SECURITY;

ALTER TABLE public.mail ENABLE ROW LEVEL SECURITY;

ALTER TABLE public.member ENABLE ROW LEVEL SECURITY;

ALTER TABLE public.owned_name ENABLE ROW LEVEL SECURITY;

ALTER TABLE public.payment ENABLE ROW LEVEL SECURITY;

ALTER TABLE public.period_close ENABLE ROW LEVEL SECURITY;

ALTER TABLE public.plan ENABLE ROW LEVEL SECURITY;

ALTER TABLE public.plan_change ENABLE ROW LEVEL SECURITY;

ALTER TABLE public.plan_stage ENABLE ROW LEVEL SECURITY;

ALTER TABLE public.portal ENABLE ROW LEVEL SECURITY;

ALTER TABLE public.portal_api ENABLE ROW LEVEL SECURITY;

ALTER TABLE public.price_change ENABLE ROW LEVEL SECURITY;

ALTER TABLE public.price_sheet ENABLE ROW LEVEL SECURITY;

ALTER TABLE public.psp_object ENABLE ROW LEVEL SECURITY;

ALTER TABLE public.quota_lease ENABLE ROW LEVEL SECURITY;

ALTER TABLE public.quota_window ENABLE ROW LEVEL SECURITY;

ALTER TABLE public.resource_interval ENABLE ROW LEVEL SECURITY;

ALTER TABLE public.routing_rule ENABLE ROW LEVEL SECURITY;

ALTER TABLE public.service_credential ENABLE ROW LEVEL SECURITY;

ALTER TABLE public.session ENABLE ROW LEVEL SECURITY;

ALTER TABLE public.spend_alert ENABLE ROW LEVEL SECURITY;

ALTER TABLE public.spend_limit ENABLE ROW LEVEL SECURITY;

ALTER TABLE public.stage ENABLE ROW LEVEL SECURITY;

ALTER TABLE public.stage_deployment ENABLE ROW LEVEL SECURITY;

ALTER TABLE public.stripe_account ENABLE ROW LEVEL SECURITY;

ALTER TABLE public.stripe_cursor ENABLE ROW LEVEL SECURITY;

ALTER TABLE public.stripe_customer ENABLE ROW LEVEL SECURITY;

ALTER TABLE public.stripe_hour ENABLE ROW LEVEL SECURITY;

ALTER TABLE public.stripe_meter ENABLE ROW LEVEL SECURITY;

ALTER TABLE public.subscription ENABLE ROW LEVEL SECURITY;

ALTER TABLE public.subscription_key ENABLE ROW LEVEL SECURITY;

ALTER TABLE public.tag ENABLE ROW LEVEL SECURITY;

ALTER TABLE public.tax_quote ENABLE ROW LEVEL SECURITY;

ALTER TABLE public.tenant ENABLE ROW LEVEL SECURITY;

ALTER TABLE public.tenant_left ENABLE ROW LEVEL SECURITY;

CREATE POLICY tenant_only ON public.access_association USING ((((tenant_id)::text = current_setting('tollgate.tenant'::text, true)) OR (current_setting('tollgate.tenant'::text, true) = '*'::text)));

CREATE POLICY tenant_only ON public.access_key USING ((((tenant_id)::text = current_setting('tollgate.tenant'::text, true)) OR (current_setting('tollgate.tenant'::text, true) = '*'::text)));

CREATE POLICY tenant_only ON public.account_settings USING ((((tenant_id)::text = current_setting('tollgate.tenant'::text, true)) OR (current_setting('tollgate.tenant'::text, true) = '*'::text)));

CREATE POLICY tenant_only ON public.api USING ((((tenant_id)::text = current_setting('tollgate.tenant'::text, true)) OR (current_setting('tollgate.tenant'::text, true) = '*'::text)));

CREATE POLICY tenant_only ON public.api_key USING ((((tenant_id)::text = current_setting('tollgate.tenant'::text, true)) OR (current_setting('tollgate.tenant'::text, true) = '*'::text)));

CREATE POLICY tenant_only ON public.api_method USING ((((tenant_id)::text = current_setting('tollgate.tenant'::text, true)) OR (current_setting('tollgate.tenant'::text, true) = '*'::text)));

CREATE POLICY tenant_only ON public.api_source USING ((((tenant_id)::text = current_setting('tollgate.tenant'::text, true)) OR (current_setting('tollgate.tenant'::text, true) = '*'::text)));

CREATE POLICY tenant_only ON public.app USING ((((tenant_id)::text = current_setting('tollgate.tenant'::text, true)) OR (current_setting('tollgate.tenant'::text, true) = '*'::text)));

CREATE POLICY tenant_only ON public.audit USING ((((tenant_id)::text = current_setting('tollgate.tenant'::text, true)) OR (current_setting('tollgate.tenant'::text, true) = '*'::text)));

CREATE POLICY tenant_only ON public.base_path_mapping USING ((((tenant_id)::text = current_setting('tollgate.tenant'::text, true)) OR (current_setting('tollgate.tenant'::text, true) = '*'::text)));

CREATE POLICY tenant_only ON public.call_left USING ((((tenant_id)::text = current_setting('tollgate.tenant'::text, true)) OR (current_setting('tollgate.tenant'::text, true) = '*'::text)));

CREATE POLICY tenant_only ON public.call_log USING ((((tenant_id)::text = current_setting('tollgate.tenant'::text, true)) OR (current_setting('tollgate.tenant'::text, true) = '*'::text)));

CREATE POLICY tenant_only ON public.call_log_default USING ((((tenant_id)::text = current_setting('tollgate.tenant'::text, true)) OR (current_setting('tollgate.tenant'::text, true) = '*'::text)));

CREATE POLICY tenant_only ON public.certificate USING ((((tenant_id)::text = current_setting('tollgate.tenant'::text, true)) OR (current_setting('tollgate.tenant'::text, true) = '*'::text)));

CREATE POLICY tenant_only ON public.client_certificate USING ((((tenant_id)::text = current_setting('tollgate.tenant'::text, true)) OR (current_setting('tollgate.tenant'::text, true) = '*'::text)));

CREATE POLICY tenant_only ON public.collection USING ((((tenant_id)::text = current_setting('tollgate.tenant'::text, true)) OR (current_setting('tollgate.tenant'::text, true) = '*'::text)));

CREATE POLICY tenant_only ON public.coupon USING ((((tenant_id)::text = current_setting('tollgate.tenant'::text, true)) OR (current_setting('tollgate.tenant'::text, true) = '*'::text)));

CREATE POLICY tenant_only ON public.coupon_use USING ((((tenant_id)::text = current_setting('tollgate.tenant'::text, true)) OR (current_setting('tollgate.tenant'::text, true) = '*'::text)));

CREATE POLICY tenant_only ON public.credit_grant USING ((((tenant_id)::text = current_setting('tollgate.tenant'::text, true)) OR (current_setting('tollgate.tenant'::text, true) = '*'::text)));

CREATE POLICY tenant_only ON public.credit_note USING ((((tenant_id)::text = current_setting('tollgate.tenant'::text, true)) OR (current_setting('tollgate.tenant'::text, true) = '*'::text)));

CREATE POLICY tenant_only ON public.deployment USING ((((tenant_id)::text = current_setting('tollgate.tenant'::text, true)) OR (current_setting('tollgate.tenant'::text, true) = '*'::text)));

CREATE POLICY tenant_only ON public.developer USING ((((tenant_id)::text = current_setting('tollgate.tenant'::text, true)) OR (current_setting('tollgate.tenant'::text, true) = '*'::text)));

CREATE POLICY tenant_only ON public.dispute USING ((((tenant_id)::text = current_setting('tollgate.tenant'::text, true)) OR (current_setting('tollgate.tenant'::text, true) = '*'::text)));

CREATE POLICY tenant_only ON public.documentation_version USING ((((tenant_id)::text = current_setting('tollgate.tenant'::text, true)) OR (current_setting('tollgate.tenant'::text, true) = '*'::text)));

CREATE POLICY tenant_only ON public.domain USING ((((tenant_id)::text = current_setting('tollgate.tenant'::text, true)) OR (current_setting('tollgate.tenant'::text, true) = '*'::text)));

CREATE POLICY tenant_only ON public.feed_change USING ((((tenant_id)::text = current_setting('tollgate.tenant'::text, true)) OR (current_setting('tollgate.tenant'::text, true) = '*'::text)));

CREATE POLICY tenant_only ON public.invoice USING ((((tenant_id)::text = current_setting('tollgate.tenant'::text, true)) OR (current_setting('tollgate.tenant'::text, true) = '*'::text)));

CREATE POLICY tenant_only ON public.invoice_line USING ((((tenant_id)::text = current_setting('tollgate.tenant'::text, true)) OR (current_setting('tollgate.tenant'::text, true) = '*'::text)));

CREATE POLICY tenant_only ON public.ledger_entry USING ((((tenant_id)::text = current_setting('tollgate.tenant'::text, true)) OR (current_setting('tollgate.tenant'::text, true) = '*'::text)));

CREATE POLICY tenant_only ON public.ledger_transaction USING ((((tenant_id)::text = current_setting('tollgate.tenant'::text, true)) OR (current_setting('tollgate.tenant'::text, true) = '*'::text)));

CREATE POLICY tenant_only ON public.link_target USING ((((tenant_id)::text = current_setting('tollgate.tenant'::text, true)) OR (current_setting('tollgate.tenant'::text, true) = '*'::text)));

CREATE POLICY tenant_only ON public.mail USING ((((tenant_id)::text = current_setting('tollgate.tenant'::text, true)) OR (current_setting('tollgate.tenant'::text, true) = '*'::text)));

CREATE POLICY tenant_only ON public.member USING ((((tenant_id)::text = current_setting('tollgate.tenant'::text, true)) OR (current_setting('tollgate.tenant'::text, true) = '*'::text)));

CREATE POLICY tenant_only ON public.owned_name USING ((((tenant_id)::text = current_setting('tollgate.tenant'::text, true)) OR (current_setting('tollgate.tenant'::text, true) = '*'::text)));

CREATE POLICY tenant_only ON public.payment USING ((((tenant_id)::text = current_setting('tollgate.tenant'::text, true)) OR (current_setting('tollgate.tenant'::text, true) = '*'::text)));

CREATE POLICY tenant_only ON public.period_close USING ((((tenant_id)::text = current_setting('tollgate.tenant'::text, true)) OR (current_setting('tollgate.tenant'::text, true) = '*'::text)));

CREATE POLICY tenant_only ON public.plan USING ((((tenant_id)::text = current_setting('tollgate.tenant'::text, true)) OR (current_setting('tollgate.tenant'::text, true) = '*'::text)));

CREATE POLICY tenant_only ON public.plan_change USING ((((tenant_id)::text = current_setting('tollgate.tenant'::text, true)) OR (current_setting('tollgate.tenant'::text, true) = '*'::text)));

CREATE POLICY tenant_only ON public.plan_stage USING ((((tenant_id)::text = current_setting('tollgate.tenant'::text, true)) OR (current_setting('tollgate.tenant'::text, true) = '*'::text)));

CREATE POLICY tenant_only ON public.portal USING ((((tenant_id)::text = current_setting('tollgate.tenant'::text, true)) OR (current_setting('tollgate.tenant'::text, true) = '*'::text)));

CREATE POLICY tenant_only ON public.portal_api USING ((((tenant_id)::text = current_setting('tollgate.tenant'::text, true)) OR (current_setting('tollgate.tenant'::text, true) = '*'::text)));

CREATE POLICY tenant_only ON public.price_change USING ((((tenant_id)::text = current_setting('tollgate.tenant'::text, true)) OR (current_setting('tollgate.tenant'::text, true) = '*'::text)));

CREATE POLICY tenant_only ON public.price_sheet USING (((tenant_id IS NULL) OR ((tenant_id)::text = current_setting('tollgate.tenant'::text, true)) OR (current_setting('tollgate.tenant'::text, true) = '*'::text))) WITH CHECK ((((tenant_id)::text = current_setting('tollgate.tenant'::text, true)) OR (current_setting('tollgate.tenant'::text, true) = '*'::text)));

CREATE POLICY tenant_only ON public.psp_object USING ((((tenant_id)::text = current_setting('tollgate.tenant'::text, true)) OR (current_setting('tollgate.tenant'::text, true) = '*'::text)));

CREATE POLICY tenant_only ON public.quota_lease USING ((((tenant_id)::text = current_setting('tollgate.tenant'::text, true)) OR (current_setting('tollgate.tenant'::text, true) = '*'::text)));

CREATE POLICY tenant_only ON public.quota_window USING ((((tenant_id)::text = current_setting('tollgate.tenant'::text, true)) OR (current_setting('tollgate.tenant'::text, true) = '*'::text)));

CREATE POLICY tenant_only ON public.resource_interval USING ((((tenant_id)::text = current_setting('tollgate.tenant'::text, true)) OR (current_setting('tollgate.tenant'::text, true) = '*'::text)));

CREATE POLICY tenant_only ON public.routing_rule USING ((((tenant_id)::text = current_setting('tollgate.tenant'::text, true)) OR (current_setting('tollgate.tenant'::text, true) = '*'::text)));

CREATE POLICY tenant_only ON public.service_credential USING ((((tenant_id)::text = current_setting('tollgate.tenant'::text, true)) OR (current_setting('tollgate.tenant'::text, true) = '*'::text)));

CREATE POLICY tenant_only ON public.session USING ((((tenant_id)::text = current_setting('tollgate.tenant'::text, true)) OR (current_setting('tollgate.tenant'::text, true) = '*'::text)));

CREATE POLICY tenant_only ON public.spend_alert USING ((((tenant_id)::text = current_setting('tollgate.tenant'::text, true)) OR (current_setting('tollgate.tenant'::text, true) = '*'::text)));

CREATE POLICY tenant_only ON public.spend_limit USING ((((tenant_id)::text = current_setting('tollgate.tenant'::text, true)) OR (current_setting('tollgate.tenant'::text, true) = '*'::text)));

CREATE POLICY tenant_only ON public.stage USING ((((tenant_id)::text = current_setting('tollgate.tenant'::text, true)) OR (current_setting('tollgate.tenant'::text, true) = '*'::text)));

CREATE POLICY tenant_only ON public.stage_deployment USING ((((tenant_id)::text = current_setting('tollgate.tenant'::text, true)) OR (current_setting('tollgate.tenant'::text, true) = '*'::text)));

CREATE POLICY tenant_only ON public.stripe_account USING ((((tenant_id)::text = current_setting('tollgate.tenant'::text, true)) OR (current_setting('tollgate.tenant'::text, true) = '*'::text)));

CREATE POLICY tenant_only ON public.stripe_cursor USING ((((tenant_id)::text = current_setting('tollgate.tenant'::text, true)) OR (current_setting('tollgate.tenant'::text, true) = '*'::text)));

CREATE POLICY tenant_only ON public.stripe_customer USING ((((tenant_id)::text = current_setting('tollgate.tenant'::text, true)) OR (current_setting('tollgate.tenant'::text, true) = '*'::text)));

CREATE POLICY tenant_only ON public.stripe_hour USING ((((tenant_id)::text = current_setting('tollgate.tenant'::text, true)) OR (current_setting('tollgate.tenant'::text, true) = '*'::text)));

CREATE POLICY tenant_only ON public.stripe_meter USING ((((tenant_id)::text = current_setting('tollgate.tenant'::text, true)) OR (current_setting('tollgate.tenant'::text, true) = '*'::text)));

CREATE POLICY tenant_only ON public.subscription USING ((((tenant_id)::text = current_setting('tollgate.tenant'::text, true)) OR (current_setting('tollgate.tenant'::text, true) = '*'::text)));

CREATE POLICY tenant_only ON public.subscription_key USING ((((tenant_id)::text = current_setting('tollgate.tenant'::text, true)) OR (current_setting('tollgate.tenant'::text, true) = '*'::text)));

CREATE POLICY tenant_only ON public.tag USING ((((tenant_id)::text = current_setting('tollgate.tenant'::text, true)) OR (current_setting('tollgate.tenant'::text, true) = '*'::text)));

CREATE POLICY tenant_only ON public.tax_quote USING ((((tenant_id)::text = current_setting('tollgate.tenant'::text, true)) OR (current_setting('tollgate.tenant'::text, true) = '*'::text)));

CREATE POLICY tenant_only ON public.tenant USING ((((tenant_id)::text = current_setting('tollgate.tenant'::text, true)) OR (current_setting('tollgate.tenant'::text, true) = '*'::text)));

CREATE POLICY tenant_only ON public.tenant_left USING ((((tenant_id)::text = current_setting('tollgate.tenant'::text, true)) OR (current_setting('tollgate.tenant'::text, true) = '*'::text)));

CREATE POLICY tenant_only ON public.ticket USING ((((tenant_id)::text = current_setting('tollgate.tenant'::text, true)) OR (current_setting('tollgate.tenant'::text, true) = '*'::text)));

CREATE POLICY tenant_only ON public.usage_day USING ((((tenant_id)::text = current_setting('tollgate.tenant'::text, true)) OR (current_setting('tollgate.tenant'::text, true) = '*'::text)));

CREATE POLICY tenant_only ON public.usage_day_default USING ((((tenant_id)::text = current_setting('tollgate.tenant'::text, true)) OR (current_setting('tollgate.tenant'::text, true) = '*'::text)));

CREATE POLICY tenant_only ON public.usage_hour USING ((((tenant_id)::text = current_setting('tollgate.tenant'::text, true)) OR (current_setting('tollgate.tenant'::text, true) = '*'::text)));

CREATE POLICY tenant_only ON public.usage_hour_default USING ((((tenant_id)::text = current_setting('tollgate.tenant'::text, true)) OR (current_setting('tollgate.tenant'::text, true) = '*'::text)));

CREATE POLICY tenant_only ON public.usage_line USING ((((tenant_id)::text = current_setting('tollgate.tenant'::text, true)) OR (current_setting('tollgate.tenant'::text, true) = '*'::text)));

CREATE POLICY tenant_only ON public.usage_line_default USING ((((tenant_id)::text = current_setting('tollgate.tenant'::text, true)) OR (current_setting('tollgate.tenant'::text, true) = '*'::text)));

CREATE POLICY tenant_only ON public.vpc_link USING ((((tenant_id)::text = current_setting('tollgate.tenant'::text, true)) OR (current_setting('tollgate.tenant'::text, true) = '*'::text)));

CREATE POLICY tenant_only ON public.wallet USING ((((tenant_id)::text = current_setting('tollgate.tenant'::text, true)) OR (current_setting('tollgate.tenant'::text, true) = '*'::text)));

CREATE POLICY tenant_only ON public.webhook_event USING ((((tenant_id)::text = current_setting('tollgate.tenant'::text, true)) OR (current_setting('tollgate.tenant'::text, true) = '*'::text)));

ALTER TABLE public.ticket ENABLE ROW LEVEL SECURITY;

ALTER TABLE public.usage_day ENABLE ROW LEVEL SECURITY;

ALTER TABLE public.usage_day_default ENABLE ROW LEVEL SECURITY;

ALTER TABLE public.usage_hour ENABLE ROW LEVEL SECURITY;

ALTER TABLE public.usage_hour_default ENABLE ROW LEVEL SECURITY;

ALTER TABLE public.usage_intake ENABLE ROW LEVEL SECURITY;

ALTER TABLE public.usage_line ENABLE ROW LEVEL SECURITY;

ALTER TABLE public.usage_line_default ENABLE ROW LEVEL SECURITY;

ALTER TABLE public.vpc_link ENABLE ROW LEVEL SECURITY;

ALTER TABLE public.wallet ENABLE ROW LEVEL SECURITY;

ALTER TABLE public.webhook_event ENABLE ROW LEVEL SECURITY;
