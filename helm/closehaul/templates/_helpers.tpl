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
{{- dict "app.kubernetes.io/name" (include "closehaul.name" .) "app.kubernetes.io/instance" .Release.Name | toYaml }}
{{- end }}

{{- /* The labels of every object. Users' labels do not replace those of the chart. */ -}}
{{- define "closehaul.labels" -}}
{{- $labels := include "closehaul.selectorLabels" . | fromYaml }}
{{- $_ := set $labels "helm.sh/chart" (printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" | trunc 63 | trimSuffix "-") }}
{{- $_ := set $labels "app.kubernetes.io/version" .Chart.AppVersion }}
{{- $_ := set $labels "app.kubernetes.io/managed-by" .Release.Service }}
{{- merge $labels .Values.commonLabels | toYaml }}
{{- end }}

{{- /* Metadata of an object: (list context name namespace labels annotations). */ -}}
{{- define "closehaul.metadata" -}}
{{- $root := index . 0 -}}
name: {{ index . 1 }}
{{- with index . 2 }}
namespace: {{ . }}
{{- end }}
labels:
  {{- merge (dict) (index . 3) (include "closehaul.labels" $root | fromYaml) | toYaml | nindent 2 }}
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

{{- /* Whether helm reads a cluster, as it does except for `helm template`: "true" or nothing. */ -}}
{{- define "closehaul.findsCluster" -}}
{{- if lookup "v1" "Namespace" "" "kube-system" }}true{{ end }}
{{- end }}

{{- /* Name of what restores hints before the chart is uninstalled. */ -}}
{{- define "closehaul.restoreName" -}}
{{- printf "%s-restore" (include "closehaul.fullname" . | trunc 55 | trimSuffix "-") }}
{{- end }}

{{- /* Name of what `helm test` runs. */ -}}
{{- define "closehaul.testName" -}}
{{- printf "%s-test" (include "closehaul.fullname" . | trunc 58 | trimSuffix "-") }}
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
{{- with .Values.schedulerName }}
schedulerName: {{ . }}
{{- end }}
{{- with .Values.runtimeClassName }}
runtimeClassName: {{ . }}
{{- end }}
hostNetwork: {{ .Values.hostNetwork }}
{{- if not .Values.hostUsers }}
hostUsers: false
{{- end }}
dnsPolicy: {{ .Values.dnsPolicy }}
{{- with .Values.dnsConfig }}
dnsConfig:
  {{- toYaml . | nindent 2 }}
{{- end }}
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

{{- /* Where metrics are served, as the flag takes it. */ -}}
{{- define "closehaul.metricsBind" -}}
{{- if .Values.metrics.enabled }}
{{- include "closehaul.metricsAddress" . }}:{{ .Values.metrics.port }}
{{- else }}0{{ end }}
{{- end }}

{{- define "closehaul.metricsAddress" -}}
{{- default (ternary "127.0.0.1" "" .Values.hostNetwork) .Values.metrics.address }}
{{- end }}

{{- define "closehaul.healthAddress" -}}
{{- default (ternary "127.0.0.1" "" .Values.hostNetwork) .Values.health.address }}
{{- end }}

{{- /* Whether anybody but the node itself can read the metrics: "true" or nothing. */ -}}
{{- define "closehaul.metricsReachable" -}}
{{- if and .Values.metrics.enabled (not (has (include "closehaul.metricsAddress" .) (list "127.0.0.1" "::1" "[::1]"))) }}true{{ end }}
{{- end }}

{{- /* Why nobody can read the metrics, and what to do about it. */ -}}
{{- define "closehaul.metricsUnreachable" -}}
{{- if .Values.metrics.enabled }}
{{- printf "metrics are served on %s only, where Prometheus cannot read them; set hostNetwork=false, or metrics.address=0.0.0.0 if everybody who reaches the nodes may read them" (include "closehaul.metricsAddress" .) }}
{{- else }}metrics are switched off; set metrics.enabled=true{{ end }}
{{- end }}

{{- /* What a ServiceMonitor or a PodMonitor says of its endpoint: its values. */ -}}
{{- define "closehaul.endpoint" -}}
{{- $endpoint := dict "port" "metrics" }}
{{- range $key := list "honorLabels" "interval" "scrapeTimeout" "relabelings" "metricRelabelings" }}
{{- with get $ $key }}
{{- $_ := set $endpoint $key . }}
{{- end }}
{{- end }}
{{- merge (dict) .endpointConfig $endpoint | toYaml }}
{{- end }}

{{- /* The name of an alert that the chart does not have, among those of a list, or nothing. */ -}}
{{- define "closehaul.unknownAlert" -}}
{{- $alerts := list }}
{{- range (index ($.root.Files.Get "alerts/closehaul.yaml" | fromYaml).groups 0).rules }}
{{- $alerts = append $alerts .alert }}
{{- end }}
{{- range without $.names "" }}
{{- if not (has . $alerts) }}{{ . }} {{ end }}
{{- end }}
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
{{- if not .Values.enabled }}
{{- fail "enabled: false has an effect only in a parent chart whose dependency on this one has `condition: closehaul.enabled`" }}
{{- end }}
{{- if and (eq .Values.mode "assist") (semverCompare "<1.36.0-0" .Capabilities.KubeVersion.Version) }}
{{- fail (printf "mode: assist requires the admission policies of Kubernetes 1.36, but the cluster has %s; set mode=advise" .Capabilities.KubeVersion.Version) }}
{{- end }}
{{- if .Values.hostNetwork }}
{{- if .Values.networkPolicy.enabled }}
{{- fail "networkPolicy.enabled: a NetworkPolicy has no effect on pods in the node's network; set hostNetwork=false or networkPolicy.enabled=false" }}
{{- end }}
{{- if not .Values.hostUsers }}
{{- fail "hostUsers: a user namespace needs a network of its own; set hostNetwork=false or hostUsers=true" }}
{{- end }}
{{- if eq .Values.dnsPolicy "ClusterFirst" }}
{{- fail "dnsPolicy: ClusterFirst has no effect with hostNetwork; use Default, or ClusterFirstWithHostNet if closehaul may wait for cluster DNS" }}
{{- end }}
{{- end }}
{{- if and (eq .Values.dnsPolicy "None") (not (get .Values.dnsConfig "nameservers")) }}
{{- fail "dnsPolicy: with None, the pods have no resolver; set dnsConfig.nameservers, or use Default" }}
{{- end }}
{{- if eq (int .Values.metrics.port) (int .Values.health.port) }}
{{- fail (printf "metrics.port and health.port are both %d; they need a port each" (int .Values.health.port)) }}
{{- end }}
{{- include "closehaul.checkMonitoring" . }}
{{- with .Values.podDisruptionBudget }}
{{- if and .enabled (kindIs "float64" .minAvailable) (gt (int $.Values.replicaCount) 1) (ge (int .minAvailable) (int $.Values.replicaCount)) }}
{{- fail (printf "podDisruptionBudget.minAvailable: with %d of %d replicas, no node with a replica can be drained; set it lower" (int .minAvailable) (int $.Values.replicaCount)) }}
{{- end }}
{{- end }}
{{- end }}

{{- define "closehaul.checkMonitoring" -}}
{{- $unreachable := not (include "closehaul.metricsReachable" .) }}
{{- if and (or .Values.serviceMonitor.enabled .Values.podMonitor.enabled) $unreachable }}
{{- fail (printf "%s.enabled: %s" (ternary "serviceMonitor" "podMonitor" .Values.serviceMonitor.enabled) (include "closehaul.metricsUnreachable" .)) }}
{{- end }}
{{- /* A container beside closehaul may serve them to others. */}}
{{- if and .Values.prometheusRule.enabled $unreachable (not (and .Values.metrics.enabled .Values.extraContainers)) }}
{{- fail (printf "prometheusRule.enabled: %s. Otherwise, alerts about missing metrics fire forever, and the others never" (include "closehaul.metricsUnreachable" .)) }}
{{- end }}
{{- if and .Values.serviceMonitor.enabled .Values.podMonitor.enabled }}
{{- fail "podMonitor.enabled: serviceMonitor.enabled is on too, and each replica would be counted twice; choose one" }}
{{- end }}
{{- if and .Values.serviceMonitor.enabled (not .Values.service.enabled) }}
{{- fail "serviceMonitor.enabled: a ServiceMonitor needs the Service; set service.enabled=true, or use podMonitor.enabled=true" }}
{{- end }}
{{- range $value, $names := dict "disabled" .Values.prometheusRule.disabled "overrides" (keys .Values.prometheusRule.overrides) }}
{{- with include "closehaul.unknownAlert" (dict "root" $ "names" $names) }}
{{- fail (printf "prometheusRule.%s: %sis no alert of this chart; docs/alerts.md lists them" $value .) }}
{{- end }}
{{- end }}
{{- end }}
