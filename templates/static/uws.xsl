<?xml version="1.0" encoding="UTF-8"?>
<!-- Shows a UWS document in a browser that was given the XML: a job list as a table, a job as its properties. -->
<xsl:stylesheet version="1.0" xmlns:xsl="http://www.w3.org/1999/XSL/Transform"
    xmlns:uws="http://www.ivoa.net/xml/UWS/v1.0" xmlns:xlink="http://www.w3.org/1999/xlink"
    xmlns:progress="urn:uws-server:progress" exclude-result-prefixes="uws xlink progress">
  <xsl:output method="html" encoding="UTF-8" doctype-system="about:legacy-compat"/>

  <!-- where this file is: the style sheet of the pages lies beside it, under whatever prefix the server has -->
  <xsl:variable name="static"
      select="substring-before(substring-after(/processing-instruction('xml-stylesheet'), 'href=&quot;'), 'uws.xsl')"/>

  <xsl:template match="/">
    <html lang="en">
      <head>
        <title>UWS <xsl:value-of select="local-name(*)"/></title>
        <link rel="stylesheet" href="{$static}style.css"/>
      </head>
      <body><main class="wide"><xsl:apply-templates select="*"/></main></body>
    </html>
  </xsl:template>

  <xsl:template match="uws:jobs">
    <h1>Jobs</h1>
    <table>
      <thead><tr><th>Job</th><th>Run id</th><th>Owner</th><th>Phase</th><th>Created</th></tr></thead>
      <tbody>
        <xsl:for-each select="uws:jobref">
          <tr>
            <td><a href="{@xlink:href}"><code><xsl:value-of select="@id"/></code></a></td>
            <td><xsl:value-of select="uws:runId"/></td>
            <td><xsl:value-of select="uws:ownerId"/></td>
            <td><xsl:value-of select="uws:phase"/></td>
            <td><xsl:value-of select="uws:creationTime"/></td>
          </tr>
        </xsl:for-each>
      </tbody>
    </table>
  </xsl:template>

  <xsl:template match="uws:job">
    <h1>Job <code><xsl:value-of select="uws:jobId"/></code></h1>
    <table>
      <tbody>
        <xsl:for-each select="*[not(*)][normalize-space()]">
          <tr><th><xsl:value-of select="local-name()"/></th><td><xsl:value-of select="."/></td></tr>
        </xsl:for-each>
        <xsl:for-each select="uws:errorSummary">
          <tr><th>error</th><td><xsl:value-of select="uws:message"/></td></tr>
        </xsl:for-each>
        <xsl:for-each select="uws:jobInfo/progress:warning">
          <tr><th>warning</th><td><xsl:value-of select="."/></td></tr>
        </xsl:for-each>
        <xsl:for-each select="uws:jobInfo/progress:usage">
          <tr><th>used</th><td><xsl:value-of select="concat(@cpuSeconds, ' s of CPU, ', @maxMemory, ' bytes of memory')"/></td></tr>
        </xsl:for-each>
        <xsl:for-each select="uws:jobInfo/progress:progress[normalize-space()]">
          <tr>
            <th>progress</th>
            <td><xsl:value-of select="concat(@n, ' of ', @m, ': ', .)"/></td>
          </tr>
        </xsl:for-each>
      </tbody>
    </table>
    <xsl:apply-templates select="uws:parameters | uws:results"/>
  </xsl:template>

  <xsl:template match="uws:parameters">
    <h2>Parameters</h2>
    <table>
      <tbody>
        <xsl:for-each select="uws:parameter">
          <tr>
            <th><xsl:value-of select="@id"/></th>
            <td>
              <xsl:choose>
                <xsl:when test="@byReference = 'true'"><a href="{.}">file</a></xsl:when>
                <xsl:otherwise><xsl:value-of select="."/></xsl:otherwise>
              </xsl:choose>
            </td>
          </tr>
        </xsl:for-each>
      </tbody>
    </table>
  </xsl:template>

  <xsl:template match="uws:results">
    <h2>Results</h2>
    <table>
      <tbody>
        <xsl:for-each select="uws:result">
          <tr>
            <td><a href="{@xlink:href}"><xsl:value-of select="@id"/></a></td>
            <td><xsl:value-of select="@mime-type"/></td>
            <td><xsl:value-of select="concat(@size, ' bytes')"/></td>
          </tr>
        </xsl:for-each>
      </tbody>
    </table>
  </xsl:template>
</xsl:stylesheet>
