package awsapi

import (
	"crypto/ecdsa"
	"crypto/rsa"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"
	"time"

	"tollgate/control"
	"tollgate/model"
)

// The certificates that domain names are served with, as AWS Certificate Manager's
// clients know them: as much as those of custom domain names need.
var acm = handlers{
	"ImportCertificate":         (*call).importCertificate,
	"RequestCertificate":        (*call).requestCertificate,
	"DescribeCertificate":       (*call).describeCertificate,
	"GetCertificate":            (*call).getACMCertificate,
	"ListCertificates":          (*call).listCertificates,
	"DeleteCertificate":         (*call).deleteACMCertificate,
	"ListTagsForCertificate":    (*call).listCertificateTags,
	"AddTagsToCertificate":      (*call).addCertificateTags,
	"RemoveTagsFromCertificate": (*call).removeCertificateTags,
}

// acmTag is a tag's shape there.
type acmTag struct{ Key, Value string }

func tagMap(in []acmTag) map[string]string {
	out := map[string]string{}
	for _, t := range in {
		out[t.Key] = t.Value
	}
	return out
}

// certificate reads the one whose ARN a body names.
func (c *call) certificate() (control.Certificate, error) {
	var in struct{ CertificateArn string }
	if err := c.in(&in); err != nil {
		return control.Certificate{}, err
	}
	id, err := c.certificateOf(in.CertificateArn)
	if err != nil {
		return control.Certificate{}, err
	}
	got, err := c.Plane.Certificate(c.ctx, c.actor, id)
	return got, c.noCertificate(err, in.CertificateArn)
}

// certificateOf is the id in an ARN; another account's are not there.
func (c *call) certificateOf(arn string) (string, error) {
	m := certificateARN.FindStringSubmatch(arn)
	switch {
	case m == nil:
		return "", failure{http.StatusBadRequest, "InvalidArnException", fmt.Sprintf("Certificate ARN %.200q is not one", arn)}
	case m[1] != c.actor.AccountID:
		return "", c.noCertificate(model.Errorf(model.NotFound, ""), arn)
	}
	return m[2], nil
}

func (c *call) noCertificate(err error, arn string) error {
	if model.KindOf(err) == model.NotFound {
		return failure{http.StatusBadRequest, "ResourceNotFoundException", fmt.Sprintf("Could not find certificate %s in account %s.", arn, c.actor.AccountID)}
	}
	return err
}

func (c *call) importCertificate() (any, error) {
	var in struct {
		CertificateArn                            string
		Certificate, PrivateKey, CertificateChain []byte
		Tags                                      []acmTag
	}
	if err := c.in(&in); err != nil {
		return nil, err
	}
	id := ""
	if in.CertificateArn != "" {
		var err error
		if id, err = c.certificateOf(in.CertificateArn); err != nil {
			return nil, err
		}
		if len(in.Tags) > 0 {
			return nil, badRequest("Tagging is not permitted on re-import.")
		}
	}
	parsed, err := model.ParseServerCertificate(string(in.Certificate), string(in.PrivateKey), string(in.CertificateChain))
	if err != nil {
		return nil, err
	}
	got, err := c.Plane.ImportCertificate(c.ctx, c.actor, id, &parsed, tagMap(in.Tags))
	if err != nil {
		return nil, c.noCertificate(err, in.CertificateArn)
	}
	return map[string]string{"CertificateArn": c.certificateARN(got.ID)}, nil
}

func (c *call) requestCertificate() (any, error) {
	var in struct {
		DomainName, ValidationMethod, KeyAlgorithm, CertificateAuthorityArn string
		SubjectAlternativeNames                                             []string
		Tags                                                                []acmTag
	}
	if err := c.in(&in); err != nil {
		return nil, err
	}
	for _, n := range in.SubjectAlternativeNames {
		if !strings.EqualFold(n, in.DomainName) {
			return nil, badRequest("A certificate is requested for one name here: request another for %.260s", n)
		}
	}
	switch {
	case in.ValidationMethod != "" && in.ValidationMethod != "DNS":
		return nil, badRequest("ValidationMethod %.20s is not served; use DNS", in.ValidationMethod)
	case in.KeyAlgorithm != "" && in.KeyAlgorithm != "EC_prime256v1":
		return nil, badRequest("KeyAlgorithm %.20s is not served; use EC_prime256v1, or import a certificate", in.KeyAlgorithm)
	case in.CertificateAuthorityArn != "":
		return nil, badRequest("Private certificate authorities are not served; import a certificate")
	}
	got, err := c.Plane.RequestCertificate(c.ctx, c.actor, in.DomainName, tagMap(in.Tags))
	if err != nil {
		return nil, err
	}
	return map[string]string{"CertificateArn": c.certificateARN(got.ID)}, nil
}

// acmStatus is a certificate's state.
func (c *call) acmStatus(got *control.Certificate) string {
	switch {
	case got.NotAfter == nil:
		return "PENDING_VALIDATION"
	case c.Now().After(*got.NotAfter):
		return "EXPIRED"
	}
	return "ISSUED"
}

var acmTypes = map[string]string{control.CertificateImported: "IMPORTED", control.CertificateACME: "AMAZON_ISSUED"}

type (
	acmRecord     struct{ Name, Type, Value string }
	acmValidation struct {
		DomainName, ValidationDomain, ValidationStatus, ValidationMethod string
		ResourceRecord                                                   acmRecord
	}
	acmDetail struct {
		CertificateArn          string
		DomainName              string
		SubjectAlternativeNames []string
		DomainValidationOptions []acmValidation `json:",omitempty"`
		Serial                  string          `json:",omitempty"`
		Subject                 string          `json:",omitempty"`
		Issuer                  string          `json:",omitempty"`
		CreatedAt               *stamp          `json:",omitempty"`
		IssuedAt                *stamp          `json:",omitempty"`
		ImportedAt              *stamp          `json:",omitempty"`
		Status                  string
		NotBefore               *stamp `json:",omitempty"`
		NotAfter                *stamp `json:",omitempty"`
		KeyAlgorithm            string `json:",omitempty"`
		SignatureAlgorithm      string `json:",omitempty"`
		InUseBy                 []string
		Type                    string
		RenewalEligibility      string
		Options                 map[string]string
	}
)

func (c *call) describeCertificate() (any, error) {
	got, err := c.certificate()
	if err != nil {
		return nil, err
	}
	d := acmDetail{CertificateArn: c.certificateARN(got.ID), DomainName: got.Name, SubjectAlternativeNames: got.Names(), Status: c.acmStatus(&got),
		InUseBy: []string{}, Type: acmTypes[got.Kind], RenewalEligibility: "INELIGIBLE",
		Options: map[string]string{"CertificateTransparencyLoggingPreference": "DISABLED", "Export": "DISABLED"}}
	at := func(t *time.Time) *stamp {
		if t == nil {
			return nil
		}
		s := stamp(*t)
		return &s
	}
	d.CreatedAt, d.NotBefore, d.NotAfter = at(&got.CreatedAt), at(got.NotBefore), at(got.NotAfter)
	if got.Kind == control.CertificateImported {
		d.ImportedAt = at(got.IssuedAt)
	} else {
		d.IssuedAt, d.RenewalEligibility = at(got.IssuedAt), "ELIGIBLE"
		d.Options["CertificateTransparencyLoggingPreference"] = "ENABLED"
	}
	for _, key := range got.Domains {
		d.InUseBy = append(d.InUseBy, c.domainARN(key))
	}
	if p := got.Proof; p != nil {
		v := acmValidation{DomainName: got.Name, ValidationDomain: got.Name, ValidationStatus: "PENDING_VALIDATION", ValidationMethod: "DNS",
			ResourceRecord: acmRecord{p.Record + ".", "TXT", p.Value}}
		if p.VerifiedAt != nil {
			v.ValidationStatus = "SUCCESS"
		}
		d.DomainValidationOptions = []acmValidation{v}
	}
	if got.Chain != "" {
		leaf, err := model.LeafOf(got.Chain)
		if err != nil {
			return nil, err
		}
		d.Subject, d.Issuer = leaf.Subject.String(), leaf.Issuer.String()
		if cn := leaf.Issuer.CommonName; cn != "" {
			d.Issuer = cn
		}
		d.Serial = colons(fmt.Sprintf("%x", leaf.SerialNumber))
		d.KeyAlgorithm, d.SignatureAlgorithm = keyAlgorithm(leaf), leaf.SignatureAlgorithm.String()
	}
	return map[string]any{"Certificate": d}, nil
}

// colons writes a serial number as that service does.
func colons(hex string) string {
	if len(hex)%2 == 1 {
		hex = "0" + hex
	}
	var b strings.Builder
	for i := 0; i < len(hex); i += 2 {
		if i > 0 {
			b.WriteByte(':')
		}
		b.WriteString(hex[i : i+2])
	}
	return b.String()
}

func keyAlgorithm(c *x509.Certificate) string {
	switch k := c.PublicKey.(type) {
	case *rsa.PublicKey:
		return fmt.Sprintf("RSA_%d", k.N.BitLen())
	case *ecdsa.PublicKey:
		return map[string]string{"P-256": "EC_prime256v1", "P-384": "EC_secp384r1", "P-521": "EC_secp521r1"}[k.Curve.Params().Name]
	}
	return ""
}

func (c *call) getACMCertificate() (any, error) {
	got, err := c.certificate()
	if err != nil {
		return nil, err
	}
	if got.Chain == "" {
		return nil, failure{http.StatusBadRequest, "RequestInProgressException", "the certificate is not issued yet"}
	}
	leaf, rest := pem.Decode([]byte(got.Chain))
	return map[string]string{"Certificate": string(pem.EncodeToMemory(leaf)), "CertificateChain": string(rest)}, nil
}

func (c *call) listCertificates() (any, error) {
	var in struct {
		NextToken           string
		MaxItems            int
		CertificateStatuses []string
	}
	if err := c.in(&in); err != nil {
		return nil, err
	}
	if in.MaxItems < 0 || in.MaxItems > 1000 {
		return nil, badRequest("MaxItems is 1 to 1000, not %d", in.MaxItems)
	}
	page, err := c.Plane.Certificates(c.ctx, c.actor, control.Page{After: in.NextToken, Limit: in.MaxItems})
	if err != nil {
		return nil, err
	}
	type summary struct {
		CertificateArn, DomainName, Status, Type string
		SubjectAlternativeNameSummaries          []string
		InUse                                    bool
		CreatedAt                                stamp
	}
	out := struct {
		NextToken              string `json:",omitempty"`
		CertificateSummaryList []summary
	}{page.Next, []summary{}}
	for _, got := range page.Items {
		s := summary{c.certificateARN(got.ID), got.Name, c.acmStatus(&got), acmTypes[got.Kind], got.Names(), len(got.Domains) > 0, stamp(got.CreatedAt)}
		if len(in.CertificateStatuses) == 0 || strings.Contains(" "+strings.Join(in.CertificateStatuses, " ")+" ", " "+s.Status+" ") {
			out.CertificateSummaryList = append(out.CertificateSummaryList, s)
		}
	}
	return out, nil
}

func (c *call) deleteACMCertificate() (any, error) {
	got, err := c.certificate()
	if err != nil {
		return nil, err
	}
	return nil, c.Plane.DeleteCertificate(c.ctx, c.actor, got.ID)
}

func (c *call) listCertificateTags() (any, error) {
	got, err := c.certificate()
	if err != nil {
		return nil, err
	}
	out := []acmTag{}
	for _, k := range slices.Sorted(maps.Keys(got.Tags)) {
		out = append(out, acmTag{k, got.Tags[k]})
	}
	return map[string]any{"Tags": out}, nil
}

func (c *call) addCertificateTags() (any, error)    { return c.tagCertificate(true) }
func (c *call) removeCertificateTags() (any, error) { return c.tagCertificate(false) }

func (c *call) tagCertificate(add bool) (any, error) {
	got, err := c.certificate()
	if err != nil {
		return nil, err
	}
	var in struct{ Tags []acmTag }
	if err := c.in(&in); err != nil {
		return nil, err
	}
	tags := tagMap(in.Tags)
	if add {
		return nil, c.Plane.SetTags(c.ctx, c.actor, "/certificates/"+got.ID, tags, nil)
	}
	return nil, c.Plane.SetTags(c.ctx, c.actor, "/certificates/"+got.ID, nil, slices.Sorted(maps.Keys(tags)))
}

// acmKinds are control's refusals as that service names them.
var acmKinds = map[model.Kind]string{model.Invalid: "ValidationException", model.NotFound: "ResourceNotFoundException", model.Conflict: "ResourceInUseException",
	model.Limit: "LimitExceededException", model.Denied: "AccessDeniedException"}

// refuseJSON is refuse in the shape of the JSON protocol, whose errors name their
// type in the body.
func (c *call) refuseJSON(err error) error {
	f, ok := err.(failure)
	if !ok {
		kind := model.KindOf(err)
		if kind == "" {
			return err
		}
		f = failure{http.StatusBadRequest, acmKinds[kind], model.MessageOf(err)}
		if f.code == "" {
			f.status, f.code = kinds[kind].status, kinds[kind].code
		}
	}
	if f.code == "BadRequestException" {
		f.code = "ValidationException"
	}
	h := c.w.Header()
	h.Set("X-Amzn-Errortype", f.code)
	h.Set("Content-Type", "application/x-amz-json-1.1")
	c.w.WriteHeader(f.status)
	return json.NewEncoder(c.w).Encode(map[string]string{"__type": f.code, "message": f.message})
}
