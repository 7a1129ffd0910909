package web

import (
	"strconv"
	"strings"

	"tollgate/control"
	"tollgate/model"
)

// stageCORSForm is how a stage answers pages of other sites by itself.
type stageCORSForm struct {
	stagePage
	On                                bool
	Origins, Methods, Headers, Expose string
	Credentials                       bool
	MaxAge                            string
}

func (v *visit) stageCORS() error {
	p, err := v.stageHere()
	if err != nil {
		return err
	}
	f := stageCORSForm{stagePage: p, Origins: "*", Methods: "*", Headers: strings.ReplaceAll(corsHeaders, ",", ", ")}
	if c := p.Stage.Settings.CORS; c != nil {
		f.On, f.Origins, f.Methods, f.Headers, f.Expose = true, strings.Join(c.AllowOrigins, "\n"), strings.Join(c.AllowMethods, ", "), strings.Join(c.AllowHeaders, ", "), strings.Join(c.ExposeHeaders, ", ")
		f.Credentials, f.MaxAge = c.AllowCredentials, numberOr(c.MaxAge)
	}
	return v.render(stageCORSView(v.stageShell(&p), f))
}

// settings are what the form says; each field is checked by model for itself, so that
// what is wrong is said at it.
func (f *stageCORSForm) settings() *model.CORS {
	c := &model.CORS{AllowOrigins: listed(f.Origins), AllowMethods: listed(strings.ToUpper(f.Methods)), AllowHeaders: listed(f.Headers), ExposeHeaders: listed(f.Expose), AllowCredentials: f.Credentials}
	if f.MaxAge != "" {
		n, err := strconv.Atoi(f.MaxAge)
		if err != nil {
			f.say("max-age", "%q is not a number of seconds", f.MaxAge)
		}
		c.MaxAge = n
	}
	some := c.AllowOrigins[:min(1, len(c.AllowOrigins))]
	for _, x := range []struct {
		field string
		part  model.CORS
	}{{"origins", model.CORS{AllowOrigins: c.AllowOrigins}}, {"methods", model.CORS{AllowOrigins: some, AllowMethods: c.AllowMethods}}, {"headers", model.CORS{AllowOrigins: some, AllowHeaders: c.AllowHeaders}},
		{"expose", model.CORS{AllowOrigins: some, ExposeHeaders: c.ExposeHeaders}}, {"max-age", model.CORS{AllowOrigins: some, MaxAge: c.MaxAge}}, {"credentials", *c}} {
		if err := x.part.Validate(); err != nil && (x.field == "origins" || len(f.problems) == 0) {
			f.add(x.field, err)
		}
	}
	return c
}

func (v *visit) saveStageCORS() error {
	p, err := v.stageHere()
	if err != nil {
		return err
	}
	f := stageCORSForm{stagePage: p, On: v.checked("on"), Origins: v.text("origins"), Methods: v.value("methods"), Headers: v.value("headers"), Expose: v.value("expose"), Credentials: v.checked("credentials"), MaxAge: v.value("max-age")}
	done, err := v.changeStage("Saved", "cors", "origins", &f.problems, func(e *control.StageEdit) error {
		if e.CORS = nil; f.On {
			e.CORS = f.settings()
		}
		return f.err()
	})
	if done || err != nil {
		return err
	}
	return v.renderAs(422, stageCORSView(v.stageShell(&p), f))
}

// stageCORSAct sets what is set now, or takes it away.
func stageCORSAct(f *stageCORSForm) act {
	c := f.Stage.Settings.CORS
	if c == nil && !f.On {
		a := stageAct(&f.stagePage)
		a.in = map[string]any{"patchOperations": []map[string]string{{"op": "remove", "path": "/tollgate/cors"}}}
		return a
	}
	if c == nil {
		c = &model.CORS{AllowOrigins: listed(f.Origins)}
	}
	steps := []string{}
	for _, x := range [][2]string{{"allowOrigins", strings.Join(c.AllowOrigins, ",")}, {"allowMethods", strings.Join(c.AllowMethods, ",")}, {"allowHeaders", strings.Join(c.AllowHeaders, ",")},
		{"exposeHeaders", strings.Join(c.ExposeHeaders, ",")}, {"allowCredentials", strconv.FormatBool(c.AllowCredentials)}, {"maxAge", strconv.Itoa(c.MaxAge)}} {
		steps = append(steps, "replace", "/tollgate/cors/"+x[0], x[1])
	}
	return stageAct(&f.stagePage, steps...)
}
