{{- define "tollgate.name" -}}{{ .Release.Name | trunc 30 | trimSuffix "-" }}{{- end }}
{{- define "tollgate.labels" -}}
app.kubernetes.io/name: tollgate
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end }}
{{- define "tollgate.tag" -}}{{ .Values.image.tag | default .Chart.AppVersion }}{{- end }}

{{- define "tollgate.pod" -}}
serviceAccountName: {{ include "tollgate.name" . }}
automountServiceAccountToken: false
enableServiceLinks: false
terminationGracePeriodSeconds: {{ add .Values.drainSeconds 20 }}
securityContext: {runAsNonRoot: true, runAsUser: 65532, runAsGroup: 65532, fsGroup: 65532, fsGroupChangePolicy: OnRootMismatch, seccompProfile: {type: RuntimeDefault}}
{{- with .Values.image.pullSecrets }}
imagePullSecrets:
{{- range . }}
  - name: {{ . }}
{{- end }}
{{- end }}
{{- end }}

{{- define "tollgate.container" -}}
imagePullPolicy: {{ .Values.image.pullPolicy }}
securityContext: {allowPrivilegeEscalation: false, readOnlyRootFilesystem: true, capabilities: {drop: [ALL]}}
{{- end }}

{{- define "tollgate.probes" -}}
startupProbe: {httpGet: {path: /livez, port: admin}, periodSeconds: 2, failureThreshold: 60}
livenessProbe: {httpGet: {path: /livez, port: admin}, periodSeconds: 10, failureThreshold: 3}
readinessProbe: {httpGet: {path: /readyz, port: admin}, periodSeconds: 3, failureThreshold: 2}
{{- end }}

{{- define "tollgate.database" -}}
- {name: DATABASE_URL, valueFrom: {secretKeyRef: {name: {{ .Values.secret }}, key: database-url}}}
- {name: TOLLGATE_SECRET_KEY, valueFrom: {secretKeyRef: {name: {{ .Values.secret }}, key: secret-key}}}
{{- end }}

{{- define "tollgate.redis" -}}
{{- with .Values.redisSecret }}
- {name: TOLLGATE_REDIS_URL, valueFrom: {secretKeyRef: {name: {{ . }}, key: redis-url}}}
{{- end }}
{{- end }}

{{- define "tollgate.settings" -}}
{{ include "tollgate.database" . }}
{{- include "tollgate.redis" . }}
- {name: TOLLGATE_CONSOLE_URL, value: {{ .Values.consoleURL | quote }}}
- {name: TOLLGATE_GATEWAY_URL, value: {{ .Values.gatewayURL | quote }}}
- {name: TOLLGATE_PORTAL_DOMAIN, value: {{ .Values.portalDomain | quote }}}
- {name: TOLLGATE_REGION, value: {{ .Values.region | quote }}}
- {name: TOLLGATE_BEHIND_PROXY, value: {{ .Values.behindProxy | quote }}}
- {name: TOLLGATE_DRAIN_TIMEOUT, value: {{ printf "%ds" (int .Values.drainSeconds) | quote }}}
- {name: TOLLGATE_JOBS, value: "false"}
{{- end }}

{{- define "tollgate.env" -}}
{{- range $k, $v := . }}
- {name: {{ $k }}, value: {{ $v | quote }}}
{{- end }}
{{- end }}

{{- /* The gateways: the shared one, then the dedicated ones. */ -}}
{{- define "tollgate.gateways" -}}
{{- $sharedEnv := merge (dict) .Values.gateway.env -}}
{{- with .Values.networkPolicy.upstreams }}{{ $_ := set $sharedEnv "TOLLGATE_UPSTREAM_ALLOW" (join "," .) }}{{ end -}}
{{- $shared := dict "name" "shared" "account" "" "replicas" .Values.gateway.replicas "env" $sharedEnv "resources" .Values.gateway.resources "upstreams" .Values.networkPolicy.upstreams -}}
{{- $all := list $shared -}}
{{- range .Values.dedicated -}}
{{- $env := merge (dict) (.env | default dict) $.Values.gateway.env -}}
{{- if .upstreams }}{{ $_ := set $env "TOLLGATE_UPSTREAM_ALLOW" (join "," .upstreams) }}{{ end -}}
{{- $all = append $all (dict "name" .name "account" .account "replicas" (.replicas | default $.Values.gateway.replicas) "env" $env "resources" (.resources | default $.Values.gateway.resources) "upstreams" (.upstreams | default list)) -}}
{{- end -}}
{{- dict "all" $all | toJson -}}
{{- end }}
