/* SPDX-License-Identifier: MIT */
/*
 * control_interface.h - what the control socket's Varlink interface is called
 *
 * supervisor/control/org.sockserver.Control.varlink describes it.
 */
#ifndef SOCKSERVERD_COMMON_CONTROL_INTERFACE_H
#define SOCKSERVERD_COMMON_CONTROL_INTERFACE_H

#define CONTROL_INTERFACE "org.sockserver.Control"

#endif
