package fake

// route is one endpoint: which parameters it takes (see parseSpec) and what it does. do runs
// with the server's lock held, after the parameters were checked.
type route struct {
	pattern string // as of http.ServeMux
	spec    *spec
	do      func(*call) (object, *apiError)
}

func on(pattern, params string, do func(*call) (object, *apiError)) *route {
	return &route{pattern: pattern, spec: parseSpec(params + " expand[]"), do: do}
}

// Parts of parameter lists that come more than once.
const (
	paging  = ` ending_before limit:int starting_after`
	address = `{city country line1 line2 postal_code state}`
	period  = ` period{end:time! start:time!}`
	pricing = ` price price_data{currency! product product_data{description images[] metadata:map name! tax_code} tax_behavior:exclusive|inclusive|unspecified unit_amount:int unit_amount_decimal} quantity:int`
	taxData = `tax_rate_data!{country description display_name! inclusive:bool! jurisdiction percentage:num! state tax_type:amusement_tax|communications_tax|gst|hst|igst|jct|lease_tax|pst|qst|rst|sales_tax|vat}`
	fields  = ` amount:int description discountable:bool discounts[]{coupon discount promotion_code} metadata:map tax_rates[]` + period + pricing
	taxes   = ` tax_amounts[]{amount:int! taxable_amount:int! ` + taxData + `}`

	customer = `address` + address + ` description email invoice_prefix metadata:map name next_invoice_sequence:int phone preferred_locales[]
		shipping{address!` + address + ` name! phone} tax_exempt:exempt|none|reverse balance:int
		invoice_settings{custom_fields[]{name! value!} default_payment_method footer}`

	invoice = `account_tax_ids[] application_fee_amount:int auto_advance:bool automatic_tax{enabled:bool!} collection_method:charge_automatically|send_invoice
		custom_fields[]{name! value!} days_until_due:int default_payment_method description due_date:time effective_at:time footer metadata:map number
		payment_settings{payment_method_types[]} statement_descriptor`

	note = `amount:int credit_amount:int effective_at:time invoice! memo metadata:map out_of_band_amount:int
		reason:duplicate|fraudulent|order_change|product_unsatisfactory refund refund_amount:int email_type:credit_note|none
		lines[]{amount:int description invoice_line_item quantity:int tax_amounts[]{amount:int! tax_rate! taxable_amount:int!} tax_rates[]
		type:custom_line_item|invoice_line_item! unit_amount:int}`

	portal   = ` default_return_url metadata:map`
	looks    = `{headline privacy_policy_url terms_of_service_url}`
	features = `{customer_update{allowed_updates[]:address|email|name|phone|shipping|tax_id enabled:bool} invoice_history{enabled:bool!}
		payment_method_update{enabled:bool!} subscription_cancel{enabled:bool!} subscription_update{enabled:bool!}}`

	profile  = `business_profile{mcc name product_description support_email support_phone support_url url}`
	profiled = profile + ` business_type:company|government_entity|individual|non_profit default_currency email metadata:map`
	billing  = ` billing_details{address` + address + ` email name phone}`
)

// routes is every endpoint the fake serves.
var routes = []*route{
	on("GET /v1/account", ``, ownAccount),
	on("POST /v1/accounts", profiled+` country type:custom|express|standard capabilities{card_payments{requested:bool} transfers{requested:bool}}
		controller{fees{payer:account|application} losses{payments:application|stripe} requirement_collection:application|stripe stripe_dashboard{type:express|full|none}}`, createAccount),
	on("GET /v1/accounts", `created:range`+paging, lister("account", "/v1/accounts", "created")),
	on("GET /v1/accounts/{id}", ``, getter("account")),
	on("POST /v1/accounts/{id}", profiled, updateAccount),
	on("DELETE /v1/accounts/{id}", ``, deleteAccount),
	on("POST /v1/account_links", `account! collect:currently_due|eventually_due refresh_url return_url type:account_onboarding|account_update!
		collection_options{fields:currently_due|eventually_due future_requirements:include|omit}`, createAccountLink),

	on("POST /v1/customers", customer+` payment_method tax_id_data[]{type! value!}`, createCustomer),
	on("GET /v1/customers", `created:range email`+paging, lister("customer", "/v1/customers", "created", "email")),
	on("GET /v1/customers/search", `limit:int page query!`, search("customer", "/v1/customers/search")),
	on("GET /v1/customers/{id}", ``, getter("customer")),
	on("POST /v1/customers/{id}", customer, updateCustomer),
	on("DELETE /v1/customers/{id}", ``, deleteCustomer),
	on("POST /v1/customers/{id}/tax_ids", `type! value!`, createTaxID),
	on("GET /v1/customers/{id}/tax_ids", paging, customerLister("tax_id", "tax_ids")),
	on("GET /v1/customers/{id}/tax_ids/{sub}", ``, customerGetter("tax_id")),
	on("DELETE /v1/customers/{id}/tax_ids/{sub}", ``, deleteTaxID),
	on("GET /v1/customers/{id}/payment_methods", `type`+paging, customerLister("payment_method", "payment_methods")),
	on("GET /v1/customers/{id}/payment_methods/{sub}", ``, customerGetter("payment_method")),
	on("POST /v1/customers/{id}/balance_transactions", `amount:int! currency! description metadata:map`, createBalanceTransaction),
	on("GET /v1/customers/{id}/balance_transactions", paging, customerLister("customer_balance_transaction", "balance_transactions")),

	on("POST /v1/payment_methods", `type metadata:map card{cvc exp_month:int exp_year:int number token}`+billing, createPaymentMethod),
	on("GET /v1/payment_methods", `customer type`+paging, lister("payment_method", "/v1/payment_methods", "customer", "type")),
	on("GET /v1/payment_methods/{id}", ``, getter("payment_method")),
	on("POST /v1/payment_methods/{id}", `metadata:map card{exp_month:int exp_year:int}`+billing, updatePaymentMethod),
	on("POST /v1/payment_methods/{id}/attach", `customer!`, attachPaymentMethod),
	on("POST /v1/payment_methods/{id}/detach", ``, detachPaymentMethod),

	on("POST /v1/setup_intents", `confirm:bool customer description metadata:map payment_method payment_method_types[] return_url usage:off_session|on_session`, createSetupIntent),
	on("GET /v1/setup_intents", `created:range customer payment_method`+paging, lister("setup_intent", "/v1/setup_intents", "created", "customer", "payment_method")),
	on("GET /v1/setup_intents/{id}", `client_secret`, getter("setup_intent")),
	on("POST /v1/setup_intents/{id}/confirm", `payment_method return_url`, confirmSetupCall),
	on("POST /v1/setup_intents/{id}/cancel", `cancellation_reason:abandoned|duplicate|requested_by_customer`, cancelSetup),

	on("GET /v1/payment_intents", `created:range customer`+paging, lister("payment_intent", "/v1/payment_intents", "created", "customer")),
	on("GET /v1/payment_intents/{id}", `client_secret`, getter("payment_intent")),
	on("GET /v1/charges", `created:range customer payment_intent`+paging, lister("charge", "/v1/charges", "created", "customer", "payment_intent")),
	on("GET /v1/charges/{id}", ``, getter("charge")),
	on("POST /v1/refunds", `amount:int charge metadata:map payment_intent reason:duplicate|fraudulent|requested_by_customer refund_application_fee:bool`, createRefund),
	on("GET /v1/refunds", `charge created:range payment_intent`+paging, lister("refund", "/v1/refunds", "charge", "created", "payment_intent")),
	on("GET /v1/refunds/{id}", ``, getter("refund")),
	on("GET /v1/disputes", `charge created:range payment_intent`+paging, lister("dispute", "/v1/disputes", "charge", "created", "payment_intent")),
	on("GET /v1/disputes/{id}", ``, getter("dispute")),
	on("POST /v1/disputes/{id}", `evidence{product_description uncategorized_text} metadata:map submit:bool`, updateDispute),
	on("POST /v1/disputes/{id}/close", ``, closeDisputeCall),
	on("GET /v1/balance_transactions", `created:range currency source type`+paging, lister("balance_transaction", "/v1/balance_transactions", "created", "currency", "source", "type")),
	on("GET /v1/balance_transactions/{id}", ``, getter("balance_transaction")),
	on("POST /v1/tax/calculations", `currency! customer_details{address`+address+` address_source:billing|shipping tax_ids[]{type! value!}}
		line_items[]!{amount:int! quantity:int reference tax_behavior:exclusive|inclusive tax_code}`, createCalculation),
	on("GET /v1/application_fees", `charge created:range`+paging, lister("application_fee", "/v1/application_fees", "charge", "created")),
	on("GET /v1/application_fees/{id}", ``, getter("application_fee")),
	on("POST /v1/application_fees/{id}/refunds", `amount:int metadata:map`, createFeeRefund),

	on("POST /v1/invoices", invoice+` currency customer! pending_invoice_items_behavior:exclude|include`, createInvoice),
	on("GET /v1/invoices", `collection_method:charge_automatically|send_invoice created:range customer due_date:range status:draft|open|paid|uncollectible|void`+paging,
		lister("invoice", "/v1/invoices", "collection_method", "created", "customer", "due_date", "status")),
	on("GET /v1/invoices/search", `limit:int page query!`, search("invoice", "/v1/invoices/search")),
	on("GET /v1/invoices/{id}", ``, getter("invoice")),
	on("POST /v1/invoices/{id}", invoice, updateInvoice),
	on("DELETE /v1/invoices/{id}", ``, deleteInvoice),
	on("GET /v1/invoices/{id}/lines", paging, listLines),
	on("POST /v1/invoices/{id}/lines/{line}", fields+taxes, updateLine),
	on("POST /v1/invoices/{id}/add_lines", `invoice_metadata:map lines[]!{invoice_item `+fields+taxes+`}`, addLines),
	on("POST /v1/invoices/{id}/update_lines", `invoice_metadata:map lines[]!{id! `+fields+taxes+`}`, updateLines),
	on("POST /v1/invoices/{id}/remove_lines", `invoice_metadata:map lines[]!{behavior:delete|unassign! id!}`, removeLines),
	on("POST /v1/invoices/{id}/finalize", `auto_advance:bool`, finalizeInvoice),
	on("POST /v1/invoices/{id}/pay", `off_session:bool paid_out_of_band:bool payment_method`, payInvoice),
	on("POST /v1/invoices/{id}/send", ``, sendInvoice),
	on("POST /v1/invoices/{id}/void", ``, voidInvoice),
	on("POST /v1/invoices/{id}/mark_uncollectible", ``, markUncollectible),

	on("POST /v1/invoiceitems", `currency customer! invoice unit_amount:int unit_amount_decimal`+fields, createItem),
	on("GET /v1/invoiceitems", `created:range customer invoice pending:bool`+paging, listItems),
	on("GET /v1/invoiceitems/{id}", ``, getter("invoiceitem")),
	on("POST /v1/invoiceitems/{id}", `unit_amount:int unit_amount_decimal`+fields, updateItem),
	on("DELETE /v1/invoiceitems/{id}", ``, deleteItem),

	on("POST /v1/credit_notes", note, createNote),
	on("GET /v1/credit_notes", `created:range customer invoice`+paging, lister("credit_note", "/v1/credit_notes", "created", "customer", "invoice")),
	on("GET /v1/credit_notes/preview", note, previewNote),
	on("GET /v1/credit_notes/{id}", ``, getter("credit_note")),
	on("POST /v1/credit_notes/{id}", `memo metadata:map`, updateNote),
	on("GET /v1/credit_notes/{id}/lines", paging, listNoteLines),
	on("POST /v1/credit_notes/{id}/void", ``, voidNote),
	on("GET /v1/tax_rates/{id}", ``, getter("tax_rate")),

	on("POST /v1/checkout/sessions", `automatic_tax{enabled:bool!} billing_address_collection:auto|required cancel_url client_reference_id currency customer
		customer_creation:always|if_required customer_email expires_at:time locale metadata:map mode:payment|setup|subscription payment_method_types[]
		submit_type:auto|book|donate|pay success_url ui_mode:embedded|hosted line_items[]{price price_data{currency! product product_data{description images[] metadata:map name!}
		unit_amount:int unit_amount_decimal} quantity:int}
		payment_intent_data{application_fee_amount:int description metadata:map setup_future_usage:off_session|on_session} setup_intent_data{description metadata:map}`, createCheckout),
	on("GET /v1/checkout/sessions", `created:range customer payment_intent status:complete|expired|open`+paging,
		lister("checkout.session", "/v1/checkout/sessions", "created", "customer", "payment_intent", "status")),
	on("GET /v1/checkout/sessions/{id}", ``, getter("checkout.session")),
	on("GET /v1/checkout/sessions/{id}/line_items", paging, listCheckoutItems),
	on("POST /v1/checkout/sessions/{id}/expire", ``, expireCheckout),

	on("POST /v1/billing_portal/sessions", `configuration customer! locale return_url flow_data{type:payment_method_update|subscription_cancel|subscription_update|subscription_update_confirm!
		after_completion{type:hosted_confirmation|portal_homepage|redirect! redirect{return_url!} hosted_confirmation{custom_message}}}`, createPortalSession),
	on("POST /v1/billing_portal/configurations", `business_profile!`+looks+` features!`+features+portal, createPortalConfig),
	on("GET /v1/billing_portal/configurations", `active:bool is_default:bool`+paging, lister("billing_portal.configuration", "/v1/billing_portal/configurations", "active", "is_default")),
	on("GET /v1/billing_portal/configurations/{id}", ``, getter("billing_portal.configuration")),
	on("POST /v1/billing_portal/configurations/{id}", `business_profile`+looks+` features`+features+portal+` active:bool`, updatePortalConfig),

	on("POST /v1/billing/meters", `customer_mapping{event_payload_key! type!} default_aggregation!{formula:count|sum!} display_name! event_name!
		event_time_window:day|hour value_settings{event_payload_key!}`, createMeter),
	on("GET /v1/billing/meters", `status:active|inactive`+paging, lister("billing.meter", "/v1/billing/meters", "status")),
	on("GET /v1/billing/meters/{id}", ``, getter("billing.meter")),
	on("POST /v1/billing/meters/{id}", `display_name`, updateMeter),
	on("POST /v1/billing/meters/{id}/deactivate", ``, switchMeter(false)),
	on("POST /v1/billing/meters/{id}/reactivate", ``, switchMeter(true)),
	on("GET /v1/billing/meters/{id}/event_summaries", `customer! end_time:time! start_time:time! value_grouping_window:day|hour`+paging, listMeterSummaries),
	on("POST /v1/billing/meter_events", `event_name! identifier payload:map! timestamp:time`, createMeterEvent),
	on("POST /v1/billing/meter_event_adjustments", `event_name! type:cancel! cancel{identifier}`, cancelMeterEvent),

	on("POST /v1/webhook_endpoints", `api_version connect:bool description enabled_events[]! metadata:map url!`, createEndpoint),
	on("GET /v1/webhook_endpoints", paging, lister("webhook_endpoint", "/v1/webhook_endpoints")),
	on("GET /v1/webhook_endpoints/{id}", ``, getter("webhook_endpoint")),
	on("POST /v1/webhook_endpoints/{id}", `description disabled:bool enabled_events[] metadata:map url`, updateEndpoint),
	on("DELETE /v1/webhook_endpoints/{id}", ``, remover("webhook_endpoint")),
	on("GET /v1/events", `created:range type types[]`+paging, listEvents),
	on("GET /v1/events/{id}", ``, getter("event")),
}

// getter answers with the object of the path.
func getter(kind string) func(*call) (object, *apiError) {
	return func(c *call) (object, *apiError) { return c.find(kind, c.id("id"), "") }
}

// lister answers with the objects of a type; the parameters of those names filter them.
func lister(kind, url string, filters ...string) func(*call) (object, *apiError) {
	return func(c *call) (object, *apiError) { return c.page(url, c.filter(kind, filters...)) }
}

func customerGetter(kind string) func(*call) (object, *apiError) {
	return func(c *call) (object, *apiError) { return c.ofCustomer(kind, "sub") }
}

func customerLister(kind, name string) func(*call) (object, *apiError) {
	return func(c *call) (object, *apiError) {
		cus, err := c.find("customer", c.id("id"), "")
		if err != nil {
			return nil, err
		}
		all := c.acct.all(kind, func(o object) bool {
			return o["customer"] == cus["id"] && (str(c.p, "type") == "" || o["type"] == c.p["type"])
		})
		return c.page("/v1/customers/"+id(cus)+"/"+name, all)
	}
}

func remover(kind string) func(*call) (object, *apiError) {
	return func(c *call) (object, *apiError) {
		o, err := c.find(kind, c.id("id"), "")
		if err != nil {
			return nil, err
		}
		c.acct.remove(o)
		return deleted(o), nil
	}
}

func listItems(c *call) (object, *apiError) {
	all := c.acct.all("invoiceitem", func(o object) bool {
		if p, ok := c.p["pending"].(bool); ok && p != (o["invoice"] == nil) {
			return false
		}
		for _, k := range []string{"customer", "invoice"} {
			if w := str(c.p, k); w != "" && o[k] != w {
				return false
			}
		}
		r, _ := c.p["created"].(object)
		return within(num(o, "date"), r)
	})
	return c.page("/v1/invoiceitems", all)
}

func listEvents(c *call) (object, *apiError) {
	types := list(c.p, "types")
	if t := str(c.p, "type"); t != "" {
		if len(types) > 0 {
			return nil, invalid("parameters_exclusive", "", "You may only specify one of these parameters: type, types.")
		}
		types = []any{t}
	}
	if len(types) > 20 {
		return nil, invalid("", "types", "At most 20 types can be asked for.")
	}
	wants := map[any]bool{}
	for _, t := range types {
		wants[t] = true
	}
	r, _ := c.p["created"].(object)
	all := c.acct.all("event", func(o object) bool {
		return (len(wants) == 0 || wants[o["type"]]) && within(num(o, "created"), r)
	})
	return c.page("/v1/events", all)
}
