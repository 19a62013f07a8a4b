"""GLSL of the training renderer: surface pass (2x2 samples per pixel), shadow pass, lighting pass.

Lighting is deferred: a pixel whose four samples lie on one surface is lit once, an edge pixel four times.
"""

from __future__ import annotations

MAX_LIGHTS = 4

SURFACE_VERTEX = """
#version 330
uniform mat4 u_projection;
uniform mat4 u_view;
uniform vec3 u_eye;
in vec3 in_position; in vec3 in_normal; in vec2 in_uv; in vec3 in_colour; in vec4 in_meta;
out vec3 v_to_eye; out vec3 v_normal; out vec2 v_uv; out vec3 v_colour; out float v_depth;
flat out vec4 v_meta;
void main() {
    vec4 camera = u_view * vec4(in_position, 1.0);
    v_to_eye = u_eye - in_position; v_normal = in_normal; v_uv = in_uv; v_colour = in_colour; v_meta = in_meta;
    v_depth = camera.z;                       // optical frame: z forward
    gl_Position = u_projection * camera;
}
"""

SURFACE_FRAGMENT = """
#version 330
uniform sampler2DArray u_textures;
uniform vec3 u_eye;
uniform vec4 u_clip;                          // keeps points with dot(u_clip.xyz, p) + u_clip.w >= 0
in vec3 v_to_eye; in vec3 v_normal; in vec2 v_uv; in vec3 v_colour; in float v_depth;
flat in vec4 v_meta;                          // texture layer, label, emission, gloss
layout(location = 0) out vec4 o_albedo;       // linear rgb, label
layout(location = 1) out vec4 o_geometry;     // normal in the world, depth
layout(location = 2) out vec2 o_material;     // emission, gloss
void main() {
    vec4 texel = v_meta.x < -0.5 ? vec4(1.0) : texture(u_textures, vec3(v_uv, v_meta.x));
    if (texel.a < 0.4 || dot(u_clip.xyz, u_eye - v_to_eye) + u_clip.w < 0.0) discard;
    vec3 n = normalize(v_normal);
    if (dot(n, v_to_eye) < 0.0) n = -n;
    vec3 display = texel.rgb * v_colour;
    o_albedo = vec4(display * display, v_meta.y);
    o_geometry = vec4(n, v_depth);
    o_material = v_meta.zw;
}
"""

SHADOW_VERTEX = """
#version 330
uniform mat4 u_matrix;
in vec3 in_position;
void main() { gl_Position = u_matrix * vec4(in_position, 1.0); }
"""

SHADOW_FRAGMENT = """
#version 330
void main() { }
"""

LIGHTING_VERTEX = """
#version 330
in vec2 in_corner;
void main() { gl_Position = vec4(in_corner, 0.0, 1.0); }
"""

LIGHTING_FRAGMENT = """
#version 330
#define MAX_LIGHTS 4
uniform sampler2D u_albedo; uniform sampler2D u_geometry; uniform sampler2D u_material;
uniform sampler2DShadow u_shadow[MAX_LIGHTS];
uniform int u_light_count;
uniform vec3 u_light_position[MAX_LIGHTS];
uniform vec3 u_light_direction[MAX_LIGHTS];
uniform vec3 u_light_colour[MAX_LIGHTS];
uniform vec2 u_light_shape[MAX_LIGHTS];       // size in metres, spread
uniform mat4 u_light_matrix[MAX_LIGHTS];
uniform vec3 u_eye; uniform vec3 u_room; uniform vec3 u_ambient; uniform vec3 u_bounce;
uniform vec4 u_intrinsics;                    // fx, fy, cx, cy of the output grid
uniform mat3 u_rotation;                      // camera to world
layout(location = 0) out vec4 o_colour;       // linear rgb, label
layout(location = 1) out float o_depth;

float hash(vec2 p) { return fract(sin(dot(p, vec2(12.9898, 78.233))) * 43758.5453); }

vec3 camera_point(vec2 pixel, float z) {
    return vec3((pixel - u_intrinsics.zw) / u_intrinsics.xy * z, z);
}

float shadow(int i, vec3 p, vec2 jitter) {
    vec4 q = u_light_matrix[i] * vec4(p, 1.0);
    if (q.w <= 0.05) return 1.0;
    vec3 s = q.xyz / q.w * 0.5 + 0.5;
    if (any(lessThan(s.xy, vec2(0.0))) || any(greaterThan(s.xy, vec2(1.0)))) return 1.0;
    float r = 0.0020 + 0.0015 * u_light_shape[i].x;
    float lit = 0.0;
    for (int k = 0; k < 4; ++k) {
        vec2 tap = vec2(k & 1, k >> 1) - 0.5 + jitter;
        vec3 at = vec3(s.xy + tap * r, s.z);
        if (i == 0) lit += texture(u_shadow[0], at);
        else if (i == 1) lit += texture(u_shadow[1], at);
        else if (i == 2) lit += texture(u_shadow[2], at);
        else lit += texture(u_shadow[3], at);
    }
    return lit * 0.25;
}

float corner_shade(vec3 p) {                  // open share of the hemisphere near walls of a box room
    vec3 d = min(p, u_room - p);
    vec3 f = 1.0 - 0.32 * exp(-max(d, 0.0) / 0.35);
    return f.x * f.y * f.z;
}

vec3 shade(vec3 p, vec3 n, vec3 albedo, vec2 material, vec2 jitter) {
    vec3 to_eye = normalize(u_eye - p);
    vec3 light = mix(u_bounce, u_ambient, n.z * 0.5 + 0.5) * corner_shade(p);
    vec3 shine = vec3(0.0);
    for (int i = 0; i < u_light_count; ++i) {
        vec3 to_light = u_light_position[i] - p;
        float d2 = dot(to_light, to_light);
        float reach = sqrt(d2);
        vec3 l = to_light / reach;
        float wrap = clamp((dot(n, l) + 0.15) / 1.15, 0.0, 1.0);
        float spread = u_light_shape[i].y, aligned = dot(-l, u_light_direction[i]);
        float lobe = spread > 1.0 ? pow(max(aligned, 0.0), spread)
                                  : mix(1.0, clamp(aligned * 1.1 + 0.1, 0.0, 1.0), spread);
        if (wrap * lobe < 0.001) continue;
        vec3 lifted = p + n * (0.012 + 0.012 * reach) + l * 0.02;   // against self-shadowing
        float size = u_light_shape[i].x;
        vec3 received = u_light_colour[i] * (lobe / (d2 + size * size + 0.3) * shadow(i, lifted, jitter));
        light += received * wrap;
        if (material.y > 0.01)
            shine += received * pow(clamp(dot(n, normalize(l + to_eye)), 0.0, 1.0), 24.0) * material.y * 0.6;
    }
    float fresnel = 0.04 + 0.5 * pow(1.0 - clamp(dot(n, to_eye), 0.0, 1.0), 4.0);
    return albedo * (light + material.x * 3.0) + shine + material.y * fresnel * u_ambient;
}

float occlusion(vec2 pixel, float z, vec3 normal) {
    vec3 p = camera_point(pixel, z);
    float turn = hash(pixel) * 6.2831853;
    float radius = clamp(0.30 * u_intrinsics.x / z, 2.0, 40.0);   // 0.3 m in pixels
    ivec2 limit = textureSize(u_geometry, 0) - 1;
    float sum = 0.0;
    for (int k = 0; k < 8; ++k) {
        float r = radius * (float(k) + 0.7) / 8.0;
        float a = turn + float(k) * 2.3999632;
        ivec2 texel = clamp(ivec2((pixel + r * vec2(cos(a), sin(a))) * 2.0 + 1.0), ivec2(0), limit);
        vec2 other = (vec2(texel) - 0.5) * 0.5;
        vec3 v = camera_point(other, texelFetch(u_geometry, texel, 0).a) - p;
        float d = length(v) + 1e-4;
        sum += max(0.0, dot(v / d, normal) - 0.08) * clamp(1.4 - d / 0.4, 0.0, 1.0);
    }
    return clamp(1.0 - 1.5 * sum / 8.0, 0.25, 1.0);
}

void main() {
    ivec2 at = ivec2(gl_FragCoord.xy);
    vec2 pixel = vec2(at);
    vec2 jitter = vec2(hash(pixel), hash(pixel + 17.3)) - 0.5;
    vec4 albedo[4]; vec4 geometry[4]; vec2 material[4];
    float near = 1e9, far = 0.0, inverse = 0.0, label = 0.0;
    vec3 normal = vec3(0.0), total = vec3(0.0);
    vec4 mean_albedo = vec4(0.0); vec2 mean_material = vec2(0.0);
    for (int k = 0; k < 4; ++k) {
        ivec2 s = at * 2 + ivec2(k & 1, k >> 1);
        albedo[k] = texelFetch(u_albedo, s, 0); geometry[k] = texelFetch(u_geometry, s, 0);
        material[k] = texelFetch(u_material, s, 0).rg;
        mean_albedo += albedo[k] * 0.25; mean_material += material[k] * 0.25; total += geometry[k].rgb;
        inverse += 1.0 / max(geometry[k].a, 1e-3); far = max(far, geometry[k].a);
        if (geometry[k].a < near) { near = geometry[k].a; label = albedo[k].a; normal = geometry[k].rgb; }
    }
    bool flat_depth = far < near * 1.06;
    float z = flat_depth ? 4.0 / inverse : near;          // inverse depth is linear on planes
    vec3 rgb = vec3(0.0);
    if (flat_depth && dot(total, total) > 14.5) {
        vec3 p = u_rotation * camera_point(pixel, z) + u_eye;
        rgb = shade(p, normalize(total), mean_albedo.rgb, mean_material, jitter);
    } else {
        for (int k = 0; k < 4; ++k) {
            vec2 sub = pixel + vec2(k & 1, k >> 1) * 0.5 - 0.25;
            vec3 p = u_rotation * camera_point(sub, geometry[k].a) + u_eye;
            rgb += min(shade(p, geometry[k].rgb, albedo[k].rgb, material[k], jitter), vec3(4.0)) * 0.25;
        }
    }
    float open = label > 63.5 ? 1.0 : occlusion(pixel, z, transpose(u_rotation) * normal);
    o_colour = vec4(min(rgb, vec3(8.0)) * open, label);
    o_depth = z;
}
"""
