{{- define "closehaul.name" -}}
{{- default .Chart.Name .Values.nameOverride | trunc 63 | trimSuffix "-" }}
{{- end }}

{{- define "closehaul.fullname" -}}
{{- if .Values.fullnameOverride }}
{{- .Values.fullnameOverride | trunc 63 | trimSuffix "-" }}
{{- else }}
{{- $name := include "closehaul.name" . }}
{{- if contains $name .Release.Name }}
{{- .Release.Name | trunc 63 | trimSuffix "-" }}
{{- else }}
{{- printf "%s-%s" .Release.Name $name | trunc 63 | trimSuffix "-" }}
{{- end }}
{{- end }}
{{- end }}

{{- define "closehaul.namespace" -}}
{{- default .Release.Namespace .Values.namespaceOverride }}
{{- end }}

{{- define "closehaul.leaseNamespace" -}}
{{- default (include "closehaul.namespace" .) .Values.leaderElection.resourceNamespace }}
{{- end }}

{{- define "closehaul.serviceAccountName" -}}
{{- if .Values.serviceAccount.create }}
{{- default (include "closehaul.fullname" .) .Values.serviceAccount.name }}
{{- else }}
{{- required "serviceAccount.name: name the account that exists, or set serviceAccount.create=true" .Values.serviceAccount.name }}
{{- end }}
{{- end }}

{{- /* The user name of the service account, for the API server. */ -}}
{{- define "closehaul.user" -}}
{{- printf "system:serviceaccount:%s:%s" (include "closehaul.namespace" .) (include "closehaul.serviceAccountName" .) }}
{{- end }}

{{- define "closehaul.selectorLabels" -}}
app.kubernetes.io/name: {{ include "closehaul.name" . }}
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end }}

{{- define "closehaul.labels" -}}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" | trunc 63 | trimSuffix "-" }}
{{ include "closehaul.selectorLabels" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
{{- with .Values.commonLabels }}
{{ toYaml . }}
{{- end }}
{{- end }}

{{- /* Metadata of an object: (list context name namespace labels annotations). */ -}}
{{- define "closehaul.metadata" -}}
{{- $root := index . 0 -}}
name: {{ index . 1 }}
{{- with index . 2 }}
namespace: {{ . }}
{{- end }}
labels:
  {{- include "closehaul.labels" $root | nindent 2 }}
  {{- with index . 3 }}
  {{- toYaml . | nindent 2 }}
  {{- end }}
{{- with merge (dict) (index . 4) $root.Values.commonAnnotations }}
annotations:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- end }}

{{- define "closehaul.image" -}}
{{- $repository := list .Values.image.registry .Values.image.repository | compact | join "/" }}
{{- if .Values.image.digest }}
{{- printf "%s@%s" $repository .Values.image.digest }}
{{- else }}
{{- printf "%s:%s" $repository (default .Chart.AppVersion .Values.image.tag) }}
{{- end }}
{{- end }}

{{- /* Name of what restores hints before the chart is uninstalled. */ -}}
{{- define "closehaul.restoreName" -}}
{{- printf "%s-restore" (include "closehaul.fullname" . | trunc 55 | trimSuffix "-") }}
{{- end }}

{{- define "closehaul.restoreAccountName" -}}
{{- if .Values.serviceAccount.create }}
{{- include "closehaul.restoreName" . }}
{{- else }}
{{- include "closehaul.serviceAccountName" . }}
{{- end }}
{{- end }}

{{- /* Where and as whom pods run, for all pods of the chart. */ -}}
{{- define "closehaul.placement" -}}
{{- with .Values.imagePullSecrets }}
imagePullSecrets:
  {{- toYaml . | nindent 2 }}
{{- end }}
automountServiceAccountToken: true
enableServiceLinks: false
{{- with .Values.priorityClassName }}
priorityClassName: {{ . }}
{{- end }}
hostNetwork: {{ .Values.hostNetwork }}
dnsPolicy: {{ .Values.dnsPolicy }}
{{- with .Values.podSecurityContext }}
securityContext:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .Values.nodeSelector }}
nodeSelector:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .Values.tolerations }}
tolerations:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .Values.extraVolumes }}
volumes:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- end }}

{{- /* What all containers of closehaul have. */ -}}
{{- define "closehaul.container" -}}
image: {{ include "closehaul.image" . }}
imagePullPolicy: {{ .Values.image.pullPolicy }}
{{- if or .Values.apiServer.host .Values.extraEnv }}
env:
  {{- with .Values.apiServer }}
  {{- if .host }}
  - name: KUBERNETES_SERVICE_HOST
    value: {{ .host | quote }}
  - name: KUBERNETES_SERVICE_PORT
    value: {{ .port | quote }}
  {{- end }}
  {{- end }}
  {{- with .Values.extraEnv }}
  {{- toYaml . | nindent 2 }}
  {{- end }}
{{- end }}
{{- with .Values.extraEnvFrom }}
envFrom:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .Values.resources }}
resources:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .Values.securityContext }}
securityContext:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .Values.extraVolumeMounts }}
volumeMounts:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- end }}

{{- define "closehaul.metricsAddress" -}}
{{- default (ternary "127.0.0.1" "" .Values.hostNetwork) .Values.metrics.address }}
{{- end }}

{{- define "closehaul.healthAddress" -}}
{{- default (ternary "127.0.0.1" "" .Values.hostNetwork) .Values.health.address }}
{{- end }}

{{- /* Whether anybody but the node itself can read the metrics: "true" or nothing. */ -}}
{{- define "closehaul.metricsReachable" -}}
{{- if not (has (include "closehaul.metricsAddress" .) (list "127.0.0.1" "::1" "[::1]")) }}true{{ end }}
{{- end }}

{{- define "closehaul.probe" -}}
{{- $root := index . 0 -}}
{{- $address := include "closehaul.healthAddress" $root -}}
httpGet:
  path: {{ index . 1 }}
  port: health
  {{- /* Without it, the kubelet probes the pod's address, where nothing listens then. */}}
  {{- if and $address (ne $address "0.0.0.0") (ne $address "[::]") }}
  host: {{ $address | trimPrefix "[" | trimSuffix "]" | quote }}
  {{- end }}
{{ toYaml (index . 2) }}
{{- end }}

{{- /* Rejects values that do not fit together. The schema checks each value by itself. */ -}}
{{- define "closehaul.check" -}}
{{- if and (eq .Values.mode "assist") (semverCompare "<1.36.0-0" .Capabilities.KubeVersion.Version) }}
{{- fail (printf "mode: assist requires the admission policies of Kubernetes 1.36, but the cluster has %s; set mode=advise" .Capabilities.KubeVersion.Version) }}
{{- end }}
{{- if and .Values.networkPolicy.enabled .Values.hostNetwork }}
{{- fail "networkPolicy.enabled: a NetworkPolicy has no effect on pods in the node's network; set hostNetwork=false or networkPolicy.enabled=false" }}
{{- end }}
{{- if and (or .Values.serviceMonitor.enabled .Values.podMonitor.enabled) (not (include "closehaul.metricsReachable" .)) }}
{{- fail (printf "%s.enabled: metrics are served on %s only, where Prometheus cannot read them; set hostNetwork=false, or metrics.address=0.0.0.0 if everybody who reaches the nodes may read them" (ternary "serviceMonitor" "podMonitor" .Values.serviceMonitor.enabled) (include "closehaul.metricsAddress" .)) }}
{{- end }}
{{- if and .Values.serviceMonitor.enabled .Values.podMonitor.enabled }}
{{- fail "podMonitor.enabled: serviceMonitor.enabled is on too, and each replica would be counted twice; choose one" }}
{{- end }}
{{- if and .Values.serviceMonitor.enabled (not .Values.service.enabled) }}
{{- fail "serviceMonitor.enabled: a ServiceMonitor needs the Service; set service.enabled=true, or use podMonitor.enabled=true" }}
{{- end }}
{{- if eq (int .Values.metrics.port) (int .Values.health.port) }}
{{- fail (printf "metrics.port and health.port are both %d; they need a port each" (int .Values.health.port)) }}
{{- end }}
{{- if and .Values.hostNetwork (eq .Values.dnsPolicy "ClusterFirst") }}
{{- fail "dnsPolicy: ClusterFirst has no effect with hostNetwork; use Default, or ClusterFirstWithHostNet if closehaul may wait for cluster DNS" }}
{{- end }}
{{- end }}
