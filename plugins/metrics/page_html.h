/* SPDX-License-Identifier: MIT */
/*
 * page_html.h - page.html, as embed.cmake makes it a part of the plugin
 */
#ifndef SOCKSERVERD_PLUGINS_METRICS_PAGE_HTML_H
#define SOCKSERVERD_PLUGINS_METRICS_PAGE_HTML_H

extern const unsigned char page_html[]; /* text, with a NUL behind it */

#endif
