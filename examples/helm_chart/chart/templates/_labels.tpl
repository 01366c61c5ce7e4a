{{- define "page.selector" -}}
app.kubernetes.io/name: page
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end -}}
{{- define "page.labels" -}}
{{ include "page.selector" . }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
{{- end -}}
