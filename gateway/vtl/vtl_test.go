package vtl_test

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	"tollgate/gateway/vtl"
)

func input(body string) *vtl.Input {
	context := vtl.NewMap()
	override := vtl.NewMap()
	for _, k := range []string{"path", "querystring", "header"} {
		override.Set(k, vtl.NewMap())
	}
	context.Set("requestOverride", override)
	context.Set("requestId", "r-1")
	identity := vtl.NewMap()
	identity.Set("sourceIp", "192.0.2.1")
	context.Set("identity", identity)
	stage := vtl.NewMap()
	stage.Set("color", "blue")
	return &vtl.Input{Body: body, Context: context, StageVariables: stage,
		Path: map[string]string{"id": "7"}, Query: map[string]string{"q": "a b", "id": "query"}, Header: map[string]string{"X-Test": "header", "q": "no"}}
}

func render(t testing.TB, template string, in *vtl.Input) string {
	t.Helper()
	p, err := vtl.Parse(template)
	if err != nil {
		t.Fatalf("%s: %v", template, err)
	}
	out, err := p.Render(nil, in)
	if err != nil {
		t.Fatalf("%s: %v", template, err)
	}
	return string(out)
}

// Templates of which the service's own output was recorded.
func TestConformanceTemplates(t *testing.T) {
	dir := os.Getenv("TOLLGATE_CONFORMANCE")
	if dir == "" {
		t.Skip("TOLLGATE_CONFORMANCE does not name the folder with the recordings")
	}
	b, err := os.ReadFile(filepath.Join(dir, "templates-recorded.json"))
	if err != nil {
		t.Fatal(err)
	}
	var cases []struct {
		Test, Key    string
		Template     string `json:"full_response_template"`
		Context      json.RawMessage
		IgnoreSpaces bool `json:"ignore_whitespace"`
		AWS          json.RawMessage
	}
	if err := json.Unmarshal(b, &cases); err != nil {
		t.Fatal(err)
	}
	failed := 0
	for _, c := range cases {
		in := input("{}")
		request, _ := in.Context.Get("requestOverride")
		path, _ := request.(*vtl.Map).Get("path")
		path.(*vtl.Map).Set("body", string(c.Context))
		got := render(t, c.Template, in)
		var want any
		if err := json.Unmarshal(c.AWS, &want); err != nil {
			t.Fatal(err)
		}
		text, isText := want.(string)
		same := isText && text == got
		switch {
		case !isText:
			var v any
			same = json.Unmarshal([]byte(got), &v) == nil && reflect.DeepEqual(v, want)
		case c.IgnoreSpaces:
			same = strings.Join(strings.Fields(text), " ") == strings.Join(strings.Fields(got), " ")
		}
		if !same {
			failed++
			t.Errorf("%s %s\n%s\nof %s\nis %q\nnot %s", c.Test, c.Key, c.Template, c.Context, got, c.AWS)
		}
	}
	fmt.Printf("conformance templates cases %d pass %d fail %d\n", len(cases), len(cases)-failed, failed)
	if len(cases) < 109 {
		t.Errorf("%d templates", len(cases))
	}
}

func TestTemplates(t *testing.T) {
	t.Parallel()
	const body = `{"name":"Bo","n":12345678901234567890,"f":2.50,"big":1e21,"list":[1,"a",{"k":null}],"o":{"b":1,"a":[true]},"quote":"it's \"x\"/é","nothing":null}`
	for template, want := range map[string]string{
		// what is a text
		"plain": "plain", "costs $5 or $ 5, #1 and # 2 $": "costs $5 or $ 5, #1 and # 2 $", "a@b.c #unknown($x)": "a@b.c #unknown()", "#[[ $x #if ]]#": " $x #if ",
		`\$name \#set \\ \`: `$name #set \\ \`, `#set($a = 1)\\$a`: `\1`,
		// $input
		"$input.json('$.name')": `"Bo"`, "$input.path('$.name')": "Bo", "$input.json('$.none')": "", "$input.path('$.none')!": "!", "$input.body": body,
		"$input.json('$.list')": `[1,"a",{"k":null}]`, "$input.path('$.list')": `[1,"a",{"k":null}]`, "$input.path('$.o')": `{b=1, a=[true]}`, "$input.json('$.n')": "12345678901234567890",
		"$input.json('$.f') $input.path('$.big')": "2.5 1.0E21", "$input.path('$.nothing')!": "!", "$input.json('$.nothing')": "null", "$input.json('$.list[*].k')": "[null]",
		"$input.params('id') $input.params('q') $input.params('x-test')": "7 a b header", "$input.params().path.id $input.params().querystring.get('q')": "7 a b",
		"$input.params()": "{path={id=7}, querystring={id=query, q=a b}, header={X-Test=header, q=no}}",
		// $util
		"$util.escapeJavaScript($input.path('$.quote'))": `it\'s \"x\"\/\u00E9`, "$util.urlEncode('a b&é*')": "a+b%26%C3%A9*", "$util.urlDecode('a+b%26')": "a b&",
		"$util.base64Encode('hé') $util.base64Decode('aMOp')": "aMOp hé", "$util.parseJson('{\"a\":[1]}').a[0]": "1", "$util.parseJson('{')!": "!",
		// $context, $stageVariables
		"$context.requestId $context.identity.sourceIp $context.none $stageVariables.color ${stageVariables['color']}": "r-1 192.0.2.1  blue blue",
		"#set($context.requestOverride.header.x = 'y')$context.requestOverride.header.x":                               "y",
		// references
		"#set($a = {'b': {'c': 'd'}})$a.b.c ${a.b.c}x $!a.b.c $!{a.b.c}y $a.none.x $a.b.c.": "d dx d dy  d.",
		"#set($l = [1, 'two', 3.0])$l $l[1] $l[-1] $l.get(0) $l.size() $l.empty":            "[1, two, 3.0] two 3.0 1 3 false",
		"$none.method() $none[0] ${none}":                                                   "  ",
		// arithmetic
		"#set($a = 7 / 2)$a #set($a = 7 % 4)$a #set($a = 7.0 / 2)$a #set($a = 1 / 0)[$a] #set($a = -3 + 1)$a #set($a = 2 * (3 + 4))$a": "333.5[] -214",
		"#set($a = 9223372036854775807 + 1)$a #set($b = 'x' + 1 + true)$b #set($c = 1 + 2 + 'x')$c":                                    "9223372036854775808x1true3x",
		"#set($a = 0.1 + 0.2)$a #set($a = 100.0 * 1000000)$a #set($a = 0.0001)$a":                                                      "0.300000000000000041.0E81.0E-4",
		// comparisons
		"#if(1 == 1.0)a#end#if('1' == 1)b#end#if('a' != 'b')c#end#if(1 < 2 && 2 <= 2)d#end#if('a' < 'b')e#end#if(!false or false)f#end#if(1 eq 1 and not false)g#end": "abcdfg",
		"#if($none)a#end#if($none == '')b#end#if($none == $null)c#end#if($input.path('$.nothing'))d#end#if(!$none)e#end":                                              "abcd",
		"#set($x = false)#if($x)a#elseif($x == false)b#else c#end":                                                                                                    "b",
		// loops
		"#foreach($i in [1..3])$i$foreach.count$foreach.index#if($foreach.first)f#end#if($foreach.last)l#end#if($foreach.hasNext),#end#end": "110f,221,332l",
		"#foreach($i in [1..9])#if($i == 4)#break#end$i#end!":                                                                               "123!", "#foreach($k in $input.path('$.o').keySet())$k #end": "b a ", "#foreach($v in $input.path('$.o'))$v #end": "1 [true] ",
		"#foreach($e in $input.path('$.o').entrySet())$e.key=$e.value;$e.getKey() #end":                                        "b=1;b a=[true];a ",
		"#foreach($i in [1..9])$i#if($i == 3)$foreach.stop()#end,#end!":                                                        "1,2,3!",
		"#foreach($a in [1,2])#foreach($b in [3,4])$a$b#if($b == 3)$foreach.stop()#end#end;#end!":                              "13;23;!",
		"#foreach($a in [1,2])#foreach($b in [3,4])$a$b $foreach.parent.stop()#end;#end!":                                      "13 !",
		"#macro(m $l)$l.stop()never#end#foreach($a in [1,2])$a\"x#m($foreach)\"#end $foreach.stop()#set($s = 'on')$s":          "1\"x on",
		"#foreach($a in [1,2])#set($l = $foreach)$a#end#foreach($b in [1,2])$l.stop()$b#end":                                   "1212", // that loop is over
		"#foreach($a in [1,2])$a#evaluate('$foreach.stop()')never#end#foreach($a in [1,2])#set($s = \"$foreach.stop()\")#end!": "1!",
		"#foreach($a in [1,2])#foreach($b in [3,4])$foreach.parent.count$foreach.count #end#end":                               "11 12 21 22 ",
		"#foreach($i in 'text')x#end#foreach($i in $none)x#end":                                                                "",
		// texts
		"#set($s = 'Hello')$s.length() $s.toUpperCase() $s.substring(1,3) $s.indexOf('l') $s.lastIndexOf('l') $s.charAt(0) $s.replace('l','L') $s.contains('ell') $s.endsWith('o') $s.equals('Hello') $s.concat('!')": "5 HELLO el 2 3 H HeLLo true true true Hello!",
		"#set($s = 'abc')$s.compareTo('abd') $s.compareTo('xbc') $s.compareTo('ab') $s.compareTo('abcde') $s.compareTo('abc') $s.compareTo('')":                                                                       "-1 -23 1 -2 0 3",
		"$util.urlDecode('%EF%BF%BD').compareTo($util.urlDecode('%F0%9F%98%80')) #set($s = 'é')$s.compareTo('z') $s.compareTo('é😀')":                                                                                  "10176111 -2", // by units of UTF-16
		"#set($s = 'aBC')$s.compareToIgnoreCase('AbC') $s.compareToIgnoreCase('abd') $s.compareToIgnoreCase('_') $s.compareToIgnoreCase('abcÉ')":                                                                      "0 -1 2 -1",
		"#set($s = 'Éß')$s.compareToIgnoreCase('éß') $s.compareToIgnoreCase('é') #set($m = 1)$m.compareTo(5)":                                                                                                         "0 1-1",
		"#set($s = 'abcabc')$s.lastIndexOf('b', 3) $s.lastIndexOf('b', 4) $s.lastIndexOf('b', 99) $s.lastIndexOf('b', 0) $s.lastIndexOf('a', -1)":                                                                     "1 4 4 -1 -1",
		"#set($s = 'abcabc')$s.lastIndexOf('abc', 3) $s.lastIndexOf('abc', 2) $s.lastIndexOf('', 2) $s.lastIndexOf('') [$s.lastIndexOf('a', 'x')]":                                                                    "3 0 2 6 []",
		"#set($s = 'é😀x😀x')$s.lastIndexOf('x', 5) $s.lastIndexOf('😀', 4) $s.lastIndexOf('😀', 3) $s.indexOf('😀', 2) $s.indexOf('x', 4)":                                                                                "3 4 1 4 6",
		"#set($s = 'abcabc')$s.indexOf('b', 1) $s.indexOf('b', 2) $s.indexOf('b', -5) $s.indexOf('b', 9) $s.indexOf('', 9) [$s.indexOf('a', true)]":                                                                   "1 4 1 -1 6 []",
		"#set($s = '(')[$s.split('(')] [$s.replaceAll('[', 'x')] [$s.matches('*')]":                                                                                                                                   "[] [] []", // Java has no such patterns either
		"#set($s = 'a1b22')$s.replaceAll('([a-z])(\\d+)','$2$1') $s.split('\\d+').size() $s.matches('[a-z0-9]+') $s.replaceFirst('\\d','#')":                                                                          "1a22b 2 true a#b22",
		"#set($s = 'é😀x')$s.length() $s.indexOf('x') $s.substring(3)":                                                                                                                                                 "4 3 x", "#set($s = 'abc')[$s.substring(5)] [$s.nothing()]": "[] []",
		"$util.escapeJavaScript(\"it's\").replaceAll(\"\\\\'\",\"'\")": "it's", "#set($i = 0)$i.parseInt('42') #set($j = $i.parseInt('5') + 1)$j": "426",
		// lists and maps
		"#set($l = [3])$l.add(4) $l.addAll([5,6]) $l $l.remove(0) $l.contains(6) $l.indexOf(5) $l.subList(0,2)":                                                             "true true [3, 4, 5, 6] 3 true 1 [4, 5]",
		"#set($l = [1,2,3,2])$l.removeAll([2,9]) $l $l.removeAll([7]) $l.retainAll([3,1,4]) $l $l.retainAll([3]) $l $l.removeAll($l) $l [$l.removeAll(1)] [$l.retainAll()]": "true [1, 3] false false [1, 3] true [3] true [] [] []",
		"#set($l = ['a','b','c'])#foreach($x in $l)$x$!l.removeAll(['b','c'])#end $l":                                                                                       "atruebfalsecfalse [a]",
		"#set($m = {'a': 1})$!m.put('b', 2) $m.size() $m.containsKey('a') $m.get('b') $m.getOrDefault('z', 9) $m.keySet() $m.values() $m.remove('a') $m $m.isEmpty()":       " 2 true 2 9 [a, b] [1, 2] 1 {b=2} false",
		"#set($m = {})#set($m.x = [1])#set($m['y z'] = 'v')$m":                                                                                                              "{x=[1], y z=v}",
		// definitions, macros
		"#macro(hi $who $n)Hi $who$n#end#hi('Bo' 2)#hi(\"A\", 1)$!who": "Hi Bo2Hi A1", "#define($d)<$x>#end#set($x = 1)$d#set($x = 2)$d \"$d\"": "<1><2> \"<2>\"",
		"#macro(wrap $t)<$t>$bodyContent</$t>#end#@wrap('b')in#end": "<b>in</b>", "#evaluate('#set($z = 5)$z')": "5",
		// lines
		"a\n#set($x = 1)\nb\n#if(true)\nc\n#end\nd":                "a\nb\nc\nd",
		"a ## rest\nb #* over\nlines *# c":                         "a b  c",
		"{\n  \"x\": \"$input.params('id')\"\n}":                   "{\n  \"x\": \"7\"\n}",
		"#set($s = \"v: $stageVariables.color #if(true)y#end\")$s": "v: blue y",
		"#stop never": "",
	} {
		if got := render(t, template, input(body)); got != want {
			t.Errorf("%s\nis  %q\nnot %q", template, got, want)
		}
	}
	if got := render(t, "$input.json('$') [$input.path('$')]", input("")); got != "{} [{}]" {
		t.Errorf("of no body: %q", got)
	}
	if got := render(t, "$input.body $input.json('$.x')!", input("not JSON")); got != "not JSON !" {
		t.Errorf("of a body that is no JSON: %q", got)
	}
}

// A template that is wrong is refused with its place.
func TestSyntaxErrors(t *testing.T) {
	t.Parallel()
	for template, want := range map[string]string{
		"a\n#if(true)\nb": "line 3, column 2: an #end is missing", "#end": "line 1, column 1", "x #set($a 1)": "needs a =", "#set(a = 1)": "needs a reference",
		"#foreach($a of $b)#end": "the word in", "#set($a = \"x)": "is not closed", "${a": "is not closed", "#if(": "an expression is missing", "#if(1 ==)x#end": "is no expression",
		"#set($a = [1,2)": "comma or a ]", "#set($a = {'a' 1})": "needs a :", "#* x": "is not closed", "#if(true)a#else b#else c#end": "#else after #else",
		"$a.b(1 2)": "comma or a )", "a\n$a.replaceAll( 'x(?=y)', '')": "line 2, column 16: the pattern of replaceAll() is not a regular expression that is taken here: error parsing regexp: invalid or unsupported Perl syntax: `(?=`",
		`$a.matches("(a)\1")`: `line 1, column 12: the pattern of matches()`, "#set($x = $a.b.split('(?<!a),'))": "column 22: the pattern of split()", `$a.replaceFirst("a++b$", "")`: "column 17: the pattern of replaceFirst()",
		"$a.split('" + strings.Repeat("x", 1001) + "')": "more than 1000 bytes", "\n\n  #set($x = \"${y\")": "line 3", strings.Repeat("#if(true)", 200): "nest deeper", "#set($a = " + strings.Repeat("(", 500): "nest deeper",
		strings.Repeat("$", vtl.MaxTemplate+1): "at most",
	} {
		_, err := vtl.Parse(template)
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%.60q: %v, not %q", template, err, want)
		}
	}
}

// What a template can make a node do is bounded.
func TestLimits(t *testing.T) {
	t.Parallel()
	for template, want := range map[string]string{
		"#foreach($i in [1..2000])x#end": "more than 1000 iterations",
		"#foreach($i in [1..1000])#foreach($j in [1..1000])#foreach($k in [1..1000])#end#end#end": "larger than it may be",
		"#foreach($i in [1..1000])#foreach($j in [1..1000])#if($i == $j)x#end#end#end":            "too many steps",
		"#set($s = 'xxxxxxxxxxxxxxxx')#foreach($i in [1..100])#set($s = $s + $s)#end":             "larger than it may be",
		"#macro(f $x)#f($x)#end#f(1)":                                                                             "nest too deeply",
		"#define($d)$d#end$d":                                                                                     "nest too deeply",
		"#define($d)\"$d\"#end#set($x = \"$d\")":                                                                  "nest too deeply",
		"#set($m = {})#set($m.m = $m)$m":                                                                          "nest too deeply",
		"#set($l = [1])#foreach($i in [1..100])#set($x = $l.addAll($l))#end":                                      "larger than it may be",
		"#set($s = 'aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa')$s.repeat(100000000)":                                       "larger than it may be",
		"#set($n = 9)#foreach($i in [1..1000])#set($n = $n * $n)#end$n.toString().length()":                       "",
		"#set($s='#evaluate($s)')#evaluate($s)":                                                                   "nest too deeply",
		"#set($s = $util.escapeJavaScript('\\'))#foreach($i in [1..60])#set($s = $util.escapeJavaScript($s))#end": "larger than it may be",
	} {
		p, err := vtl.Parse(template)
		if err != nil {
			t.Fatalf("%s: %v", template, err)
		}
		in := input("{}")
		in.Limits.Output = 1 << 20
		if want == "too many steps" {
			in.Limits.Output = 0
		}
		_, err = p.Render(nil, in)
		if want == "" && err == nil {
			continue
		}
		if err == nil || want == "" || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, not %q", template, err, want)
		}
	}
}

// What a template puts into $context stays what it was while others are rendered in the
// memory that the rendering had.
func TestContextKeeps(t *testing.T) {
	t.Parallel()
	const body = `{"o":{"name":"Bo","list":[1.5,{"k":"v"}]},"l":[{"a":"b"},["c",12345]]}`
	other, err := vtl.Parse("$input.path('$..*') #foreach($i in $input.path('$.*'))$i#foreach($j in $i)$j#end#end")
	if err != nil {
		t.Fatal(err)
	}
	const h = "#set($h = $context.requestOverride.header)#set($o = $input.path('$.o'))"
	for template, want := range map[string]string{
		"#set($context.requestOverride.header.x = $input.path('$.o'))": `{"x":{"name":"Bo","list":[1.5,{"k":"v"}]}}`,
		h + "#set($h['x'] = $o.list)":                                  `{"x":[1.5,{"k":"v"}]}`,
		h + "$!h.put('x', $o)":                                         `{"x":{"name":"Bo","list":[1.5,{"k":"v"}]}}`,
		h + "$!h.putIfAbsent('x', $o.list)":                            `{"x":[1.5,{"k":"v"}]}`,
		h + "$!h.putAll($o)":                                           `{"name":"Bo","list":[1.5,{"k":"v"}]}`,
		h + "#set($h.x = [])$!h.x.add($o)":                             `{"x":[{"name":"Bo","list":[1.5,{"k":"v"}]}]}`,
		h + "#set($h.x = [])$!h.x.add(0, $o)":                          `{"x":[{"name":"Bo","list":[1.5,{"k":"v"}]}]}`,
		h + "#set($h.x = [])$!h.x.addAll($input.path('$.l'))":          `{"x":[{"a":"b"},["c",12345]]}`,
		h + "#set($h.x = [1])$!h.x.set(0, $o.list)":                    `{"x":[[1.5,{"k":"v"}]]}`,
		h + "#set($h.x = [1])#set($h.x[0] = $o.list[1])":               `{"x":[{"k":"v"}]}`,
		h + "#set($h.x = $util.parseJson('{\"a\":[{\"b\":1000}]}'))":   `{"x":{"a":[{"b":1000}]}}`,
		h + "#macro(m $a)#set($a.x = $o.list)#end#m($h)":               `{"x":[1.5,{"k":"v"}]}`,
		h + "#foreach($i in $input.path('$.l'))#set($h.x = $i)#end":    `{"x":["c",12345]}`,
		h + "#evaluate('#set($h.x = {\"y\": $o})')":                    `{"x":{"y":{"name":"Bo","list":[1.5,{"k":"v"}]}}}`,
	} {
		in := input(body)
		render(t, template, in)
		for range 4 {
			if _, err := other.Render(nil, input(`{"a":[{"secret":"s","t":[2.5,{"u":["v"]}]},{"w":[[],{}]}],"b":{"c":{"d":{"e":99999}}}}`)); err != nil {
				t.Fatal(err)
			}
		}
		override, _ := in.Context.Get("requestOverride")
		got, _ := override.(*vtl.Map).Get("header")
		if s := string(vtl.AppendJSON(nil, got)); s != want {
			t.Errorf("%s\nkeeps %s\nnot   %s", template, s, want)
		}
	}
}

// Whatever a template is, it is compiled or refused, and rendered within its bounds.
func FuzzTemplate(f *testing.F) {
	for _, s := range []string{"#foreach($i in $input.path('$.l'))$i.a #if($i > 1)x#else y#end#end", "#macro(m $a)$a#end#m(\"$x\")", "#set($a = {'b': [1..3]})$a.b[1].c()",
		"#define($d)$d#end$d", "${a.b('c')[0]} \\$a #[[x]]# #*y*# ##z\n#evaluate($x)#stop", "$input.json('$..a[?(@.b == 1)]') $util.parseJson($input.body).x.split('(')"} {
		f.Add(s, `{"l":[{"a":1},2,"x"],"a":{"b":1}}`)
	}
	f.Fuzz(func(t *testing.T, template, body string) {
		p, err := vtl.Parse(template)
		if err != nil {
			return
		}
		in := input(body)
		in.Limits = vtl.Limits{Output: 10_000, Iterations: 20, Steps: 5_000}
		out, err := p.Render([]byte("x"), in)
		if err == nil && len(out) > 10_001 {
			t.Fatalf("%d bytes", len(out))
		}
		if len(out) == 0 || out[0] != 'x' {
			t.Fatal("what was there before is lost")
		}
		in = input(body)
		in.Limits = vtl.Limits{Output: 10_000, Iterations: 20, Steps: 5_000}
		if again, err2 := p.Render([]byte("x"), in); string(again) != string(out) || (err2 == nil) != (err == nil) {
			t.Fatalf("%q, %v, then %q, %v", out, err, again, err2)
		}
	})
}

func BenchmarkRender(b *testing.B) {
	for name, template := range map[string]string{
		"plain":   `{"statusCode": 200}`,
		"mapping": "#set($root = $input.path('$'))\n{\"name\": \"$root.name\", \"ids\": [#foreach($i in $root.list)$i.id#if($foreach.hasNext),#end#end], \"stage\": \"$stageVariables.color\"}",
	} {
		b.Run(name, func(b *testing.B) {
			p, err := vtl.Parse(template)
			if err != nil {
				b.Fatal(err)
			}
			in := input(`{"name":"Bo","list":[{"id":1},{"id":2},{"id":3},{"id":4}]}`)
			var out []byte
			b.ReportAllocs()
			for b.Loop() {
				if out, err = p.Render(out[:0], in); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

// Work is counted wherever a template lets it be done: by paths, on texts, by regular
// expressions and on large numbers. Without that each of these takes hours, or all memory.
func TestWorkIsBounded(t *testing.T) {
	list := "[" + strings.Repeat("1,", 100_000) + "1]"
	text := strings.Repeat("é", 1<<20)
	often := func(what string) string {
		return "#foreach($i in [1..1000])#foreach($j in [1..1000])#set($x = " + what + ")#end#end"
	}
	for name, c := range map[string]struct{ template, body string }{
		"paths":              {often("$input.path('$..z')"), list},
		"what paths make":    {"#set($l = [])" + often("$l.add($input.path('$[*]'))"), "[" + strings.Repeat("1,", 2000) + "1]"},
		"functions of paths": {often("$input.path('$.sum()')"), list},
		"texts in filters":   {often(`$input.path("$.a[?($.b contains 'x')]")`), `{"a": [1,1,1,1], "b": "` + text + `"}`},
		"length":             {often("$input.body.length()"), text},
		"contains":           {often("$input.body.contains('x')"), text},
		"equal texts":        {"#set($b = $input.body.concat('x'))#set($c = $input.body.concat('y'))" + often("$b == $c"), text},
		"lists as texts":     {"#set($b = $input.path('$'))" + often("$b == 1"), list},
		"JSON that is none":  {often("$util.parseJson($input.body)"), list + "x"},
		"parameters":         {"#set($l = [])" + often("$l.add($input.params())"), ""},
		"patterns":           {"#set($a = 'a')" + often("$a.matches('((a{1,10}){1,10}){1,10}')"), ""},
		"large patterns":     {"#set($a = 'a')" + often("$a.matches($input.body)"), "(" + strings.Repeat("a?", 400) + "){1,10}"},
		"patterns of paths":  {often(`$input.path("$.a[?(@.b =~ /(a{1,90}){1,90}/)]")`), "{}"},
		"long matches":       {often("$input.body.matches('.*x.*y.*z')"), text},
		"products":           {"#set($a = 3)#foreach($i in [1..14])#set($a = $a * $a)#end" + often("$a * $a"), ""},
		"quotients":          {"#set($a = 3)#foreach($i in [1..14])#set($a = $a * $a)#end#set($b = $a / 7)" + often("$a / $b"), ""},
		"splits":             {"$input.body.split(',').size()", strings.Repeat(",", 4<<20)},
		"letters":            {"$input.body.toCharArray().size()", strings.Repeat("x", 4<<20)},
		"templates":          {"#foreach($i in [1..1000])#evaluate($input.body)#end", strings.Repeat("$a", 100_000)},
	} {
		t.Run(name, func(t *testing.T) {
			p, err := vtl.Parse(c.template)
			if err != nil {
				t.Fatal(err)
			}
			header := map[string]string{}
			for i := range 50 {
				header[strings.Repeat("x", i+1)] = "y"
			}
			began := time.Now()
			_, err = p.Render(nil, &vtl.Input{Body: c.body, Context: vtl.NewMap(), StageVariables: vtl.NewMap(), Header: header})
			if took := time.Since(began); err == nil || took > 20*time.Second {
				t.Errorf("%v after %v", err, took)
			}
		})
	}
}
